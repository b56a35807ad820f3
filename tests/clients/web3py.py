"""An unmodified web3.py against a live network of four processes:
python web3py.py network.json artifacts.json"""

import asyncio
import json
import sys
import time

from eth_account import Account
from web3 import AsyncWeb3, HTTPProvider, Web3, WebSocketProvider
from web3.exceptions import ContractCustomError, ContractLogicError, Web3RPCError

network, artifacts = (json.load(open(path)) for path in sys.argv[1:3])
chain_id = network["chain_id"]
w3 = Web3(HTTPProvider(network["rpc"][2]))
other = Web3(HTTPProvider(network["rpc"][3]))
account = Account.from_key(network["keys"][2]["private_key"])
to = Account.create().address


def send(transaction):
    """Signs, sends, waits for the receipt."""
    base = {"from": account.address, "chainId": chain_id, "nonce": w3.eth.get_transaction_count(account.address)}
    filled = base | transaction
    if "gas" not in filled:
        filled["gas"] = w3.eth.estimate_gas({key: value for key, value in filled.items() if key != "authorizationList"})
    if "gasPrice" not in filled:
        filled.setdefault("maxFeePerGas", w3.eth.gas_price * 2)
        filled.setdefault("maxPriorityFeePerGas", w3.eth.max_priority_fee)
    raw = account.sign_transaction({key: value for key, value in filled.items() if key != "from"}).raw_transaction
    return w3.eth.wait_for_transaction_receipt(w3.eth.send_raw_transaction(raw), timeout=30, poll_latency=0.05)


def ok(receipt):
    assert receipt["status"] == 1, receipt
    return receipt


def refused(work, kind, check):
    try:
        work()
    except kind as error:
        check(error)
        return
    raise AssertionError(f"nothing was refused as {kind}")


# Accounts and fees.
assert w3.is_connected() and w3.eth.chain_id == chain_id
assert w3.client_version.startswith("hallmark/v")
assert w3.eth.get_balance(account.address) > 0 and w3.eth.gas_price > 0
history = w3.eth.fee_history(2, "latest", [10, 50])
assert len(history["baseFeePerGas"]) == len(history["gasUsedRatio"]) + 1
assert w3.eth.syncing is False

# A transfer of every type, seen from another validator.
first = ok(send({"to": to, "value": w3.to_wei("1.5", "ether")}))
assert first["gasUsed"] == 21_000 and first["type"] == 2
price = w3.eth.gas_price * 2
assert ok(send({"to": to, "value": 1, "gasPrice": price}))["type"] == 0
listed = {"to": to, "value": 1, "gasPrice": price, "type": 1, "accessList": [{"address": to, "storageKeys": []}]}
last = ok(send(listed))
assert last["type"] == 1 and w3.eth.get_transaction(last["transactionHash"])["type"] == 1
while other.eth.block_number < last["blockNumber"]:
    time.sleep(0.02)
assert other.eth.get_balance(to) == w3.to_wei("1.5", "ether") + 2
block = w3.eth.get_block(first["blockNumber"], full_transactions=True)
assert any(transaction["hash"] == first["transactionHash"] for transaction in block["transactions"])
assert w3.eth.get_block("finalized")["number"] >= last["blockNumber"]
assert [r["transactionHash"] for r in w3.eth.get_block_receipts(first["blockNumber"])].count(first["transactionHash"]) == 1
assert w3.eth.get_proof(to, [0], "latest")["balance"] > 0


# What is refused.
def says(text):
    def check(error):
        assert text in error.rpc_response["error"]["message"], error

    return check


plain = {"to": to, "value": 1, "gas": 21_000}
refused(lambda: send(plain | {"nonce": 0}), Web3RPCError, says("nonce too low"))
refused(lambda: send(plain | {"value": 10**30}), Web3RPCError, says("insufficient funds"))

# ERC-20: deploy, read, write, events by filter, by search and (below) by subscription.
abi, bytecode = artifacts["Token"]["abi"], artifacts["Token"]["bytecode"]
supply = w3.to_wei(1000, "ether")
deployed = ok(send({"data": w3.eth.contract(abi=abi, bytecode=bytecode).constructor("Assay", "ASY", supply).data_in_transaction}))
token = w3.eth.contract(address=deployed["contractAddress"], abi=abi)
assert token.functions.symbol().call() == "ASY"
assert token.functions.balanceOf(account.address).call() == supply


def write(function, **fields):
    """Sends a call of the token."""
    return send({"to": token.address, "data": function._encode_transaction_data()} | fields)


polled = token.events.Transfer.create_filter(from_block="latest", argument_filters={"to": to})
moved = ok(write(token.functions.transfer(to, 7)))
entries = polled.get_new_entries()
assert [(e["args"]["value"], e["transactionHash"]) for e in entries] == [(7, moved["transactionHash"])]
assert polled.get_new_entries() == []
assert w3.eth.uninstall_filter(polled.filter_id)
found = token.events.Transfer.get_logs(from_block=moved["blockNumber"], argument_filters={"to": to})
assert [e["args"]["value"] for e in found] == [7]
assert token.functions.balanceOf(to).call() == 7


# Reverts with their reasons: an error by name, a text, and one of the chain's own contracts.
def named(signature):
    def check(error):
        assert error.data.startswith(w3.to_hex(w3.keccak(text=signature)[:4])), error

    return check


def text(reason):
    def check(error):
        assert reason in str(error), error

    return check


refused(
    lambda: token.functions.transferFrom(to, account.address, 1).call({"from": account.address}),
    ContractCustomError,
    named("ERC20InsufficientAllowance(address,uint256,uint256)"),
)
zero = b"\0" * 32
refused(
    lambda: token.functions.permit(to, to, 1, 0, 27, zero, zero).call(),
    ContractLogicError,
    text("Token: the permit has expired"),
)
assert write(token.functions.transfer(to, 10**30), gas=100_000)["status"] == 0
inference = w3.eth.contract(
    address="0x4841000000000000000000000000000000000003",
    abi=[{"type": "function", "name": "cancel", "inputs": [{"name": "id", "type": "uint256"}], "outputs": [], "stateMutability": "nonpayable"}],
)
refused(lambda: inference.functions.cancel(10**9).call(), ContractCustomError, named("UnknownOrder(uint256)"))

# EIP-712: an approval that the owner signed and somebody else may send.
spender = Account.create().address
deadline = int(time.time()) + 3600
fields = [("owner", "address"), ("spender", "address"), ("value", "uint256"), ("nonce", "uint256"), ("deadline", "uint256")]
signature = account.sign_typed_data(
    {"name": "Assay", "version": "1", "chainId": chain_id, "verifyingContract": token.address},
    {"Permit": [{"name": name, "type": kind} for name, kind in fields]},
    {"owner": account.address, "spender": spender, "value": 5, "nonce": 0, "deadline": deadline},
)
word = lambda number: number.to_bytes(32, "big")
permit = token.functions.permit(account.address, spender, 5, deadline, signature.v, word(signature.r), word(signature.s))
ok(write(permit))
assert token.functions.allowance(account.address, spender).call() == 5
refused(permit.call, ContractLogicError, text("Token: not the owner's signature"))

# EIP-7702: the account borrows code that makes two transfers in one transaction.
lender = artifacts["BatchCalls"]
lent = ok(send({"data": lender["bytecode"]}))["contractAddress"]
authorization = account.sign_authorization(
    {"chainId": chain_id, "address": lent, "nonce": w3.eth.get_transaction_count(account.address) + 1}
)
transfers = [(token.address, 0, token.functions.transfer(to, value)._encode_transaction_data()) for value in (10, 20)]
execute = w3.eth.contract(address=account.address, abi=lender["abi"]).functions.execute(transfers)
both = ok(send({
    "to": account.address,
    "data": execute._encode_transaction_data(),
    "authorizationList": [authorization],
    "gas": 300_000,
}))
assert both["type"] == 4
assert len(w3.eth.get_transaction(both["transactionHash"])["authorizationList"]) == 1
assert token.functions.balanceOf(to).call() == 37
assert w3.eth.get_code(account.address) == bytes.fromhex("ef0100" + lent[2:])

# A batch: one request for all of these.
while w3.eth.block_number < 19:
    time.sleep(0.05)
with w3.batch_requests() as batch:
    for number in range(20):
        batch.add(w3.eth.get_block(number))
    assert [block["number"] for block in batch.execute()] == list(range(20))


async def subscriptions():
    """Events, heads and pending transactions over WebSocket, each by a subscription."""
    async with AsyncWeb3(WebSocketProvider(network["ws"][2])) as socket:
        topic = w3.to_hex(w3.keccak(text="Transfer(address,address,uint256)"))
        kinds = {
            await socket.eth.subscribe("logs", {"address": token.address, "topics": [topic]}): "log",
            await socket.eth.subscribe("newHeads"): "head",
            await socket.eth.subscribe("newPendingTransactions"): "pending",
            await socket.eth.subscribe("syncing"): "syncing",
        }
        moved = await asyncio.to_thread(write, token.functions.transfer(to, 3))
        seen = {}
        async for message in socket.socket.process_subscriptions():
            kind, result = kinds[message["subscription"]], message["result"]
            if kind == "head" and result["number"] < moved["blockNumber"]:
                continue
            seen.setdefault(kind, result)
            if len(seen) == len(kinds):
                break
        assert seen["log"]["transactionHash"] == moved["transactionHash"]
        assert seen["head"]["hash"] == moved["blockHash"]
        assert seen["pending"] == moved["transactionHash"]
        assert seen["syncing"] is False
        for subscription in kinds:
            assert await socket.eth.unsubscribe(subscription)


asyncio.run(asyncio.wait_for(subscriptions(), 60))
print("web3.py: accounts, fees, transfers of types 0, 1, 2 and 4, ERC-20, events by filter, search and subscription, reverts, EIP-712, EIP-7702, batch: ok")
