// An unmodified ethers 6 against a live network of four processes:
// node ethers.mjs network.json artifacts.json
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import {
  Contract, ContractFactory, FetchRequest, JsonRpcProvider, Signature, Wallet, WebSocketProvider,
  Interface, hexlify, isError, parseEther, randomBytes, toBeHex,
} from 'ethers'

const read = (path) => JSON.parse(readFileSync(path, 'utf8'))
const [network, artifacts] = [read(process.argv[2]), read(process.argv[3])]
const { rpc, ws, keys, chain_id: id } = network
const provider = new JsonRpcProvider(rpc[1], undefined, { pollingInterval: 50, cacheTimeout: -1 })
const other = new JsonRpcProvider(rpc[2])
const wallet = new Wallet(keys[1].private_key, provider)
const mined = async (sent) => {
  const receipt = await sent.wait(1, 30_000)
  assert.equal(receipt.status, 1)
  return receipt
}

// Accounts and fees.
assert.equal((await provider.getNetwork()).chainId, BigInt(id))
assert.ok((await provider.getBalance(wallet.address)) > 0n)
const fees = await provider.getFeeData()
assert.ok(fees.maxFeePerGas > 0n && fees.gasPrice > 0n)

// A transfer of every type, seen from another validator.
const to = Wallet.createRandom().address
const nonce = await provider.getTransactionCount(wallet.address)
const receipt = await mined(await wallet.sendTransaction({ to, value: parseEther('1.5') }))
assert.equal(receipt.gasUsed, 21000n)
assert.equal(receipt.type, 2)
const gasPrice = fees.gasPrice * 2n
for (const fields of [{ type: 0, gasPrice }, { type: 1, gasPrice, accessList: [{ address: to, storageKeys: [] }] }]) {
  const sent = await wallet.sendTransaction({ to, value: 1n, ...fields })
  assert.equal((await mined(sent)).type, fields.type)
  assert.equal((await provider.getTransaction(sent.hash)).type, fields.type)
}
assert.equal(await provider.getTransactionCount(wallet.address), nonce + 3)
const latest = await provider.getBlockNumber()
while ((await other.getBlockNumber()) < latest) await new Promise((r) => setTimeout(r, 20))
assert.equal(await other.getBalance(to), parseEther('1.5') + 2n)
const block = await provider.getBlock(receipt.blockNumber, true)
assert.equal(block.hash, receipt.blockHash)
assert.ok(block.prefetchedTransactions.some((t) => t.hash === receipt.hash))
assert.ok((await provider.getBlock('finalized')).number >= receipt.blockNumber)

// What is refused is refused in the words from which ethers makes its own codes.
const coded = (promise, code) => assert.rejects(promise, (error) => {
  assert.ok(isError(error, code), `${code}: ${error}`)
  return true
})
const plain = { to, gasLimit: 21000, gasPrice, type: 0 }
await coded(wallet.sendTransaction({ ...plain, nonce: 0 }), 'NONCE_EXPIRED')
await coded(wallet.sendTransaction({ ...plain, value: 10n ** 30n }), 'INSUFFICIENT_FUNDS')
// One that waits for a nonce between, and another of the same nonce that pays no more.
const gap = (await wallet.getNonce()) + 1
const signed = async (value) => wallet.signTransaction(
  await wallet.populateTransaction({ ...plain, nonce: gap, value }),
)
await provider.broadcastTransaction(await signed(1n))
await coded(provider.broadcastTransaction(await signed(2n)), 'REPLACEMENT_UNDERPRICED')
await mined(await wallet.sendTransaction({ ...plain, nonce: gap - 1 }))
while ((await wallet.getNonce()) <= gap) await new Promise((r) => setTimeout(r, 50))

// ERC-20: deploy, read, write, events by filter, by search and by subscription.
const { abi, bytecode } = artifacts.Token
const factory = new ContractFactory(abi, bytecode, wallet)
const token = await (await factory.deploy('Assay', 'ASY', parseEther('1000'))).waitForDeployment()
const address = await token.getAddress()
assert.equal(await token.symbol(), 'ASY')
assert.equal(await token.balanceOf(wallet.address), parseEther('1000'))

const first = (contract) =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('no event in time')), 30_000)
    const filter = contract.filters.Transfer(null, to)
    contract.on(filter, (event) => {
      clearTimeout(timer)
      contract.off(filter)
      resolve(event)
    })
  })
const socket = new WebSocketProvider(ws[1])
const subscribed = first(new Contract(address, abi, socket))
const polled = first(new Contract(address, abi, provider))
// ethers does not say when subscription and filter are in place: transfers go on until both saw one.
const transfers = []
const heard = Promise.all([subscribed, polled])
do {
  transfers.push(await mined(await token.transfer(to, 7n)))
} while (!(await Promise.race([heard, new Promise((r) => setTimeout(r, 500))])))
for (const event of await heard) {
  assert.ok(transfers.some((moved) => moved.hash === event.log.transactionHash))
  assert.equal(event.args.value, 7n)
}
const found = await token.queryFilter(token.filters.Transfer(null, to), transfers[0].blockNumber, 'latest')
assert.deepEqual(
  found.map((event) => [event.transactionHash, event.args.value]),
  transfers.map((moved) => [moved.hash, 7n]),
)
const received = 7n * BigInt(transfers.length)
assert.equal(await token.balanceOf(to), received)

// Reverts with their reasons: an error by name, a text, and one of the chain's own contracts.
const reverted = (promise, check) => assert.rejects(promise, (error) => {
  assert.ok(isError(error, 'CALL_EXCEPTION'), String(error))
  check(error)
  return true
})
await reverted(token.transferFrom.staticCall(to, wallet.address, 1n), (error) => {
  assert.equal(error.revert.name, 'ERC20InsufficientAllowance')
  assert.deepEqual([...error.revert.args], [wallet.address, 0n, 1n])
})
// An estimate meets the revert before anything is sent.
await reverted(token.transfer(to, 10n ** 30n), (error) => {
  assert.equal(error.action, 'estimateGas')
  assert.equal(token.interface.parseError(error.data).name, 'ERC20InsufficientBalance')
})
const zero = toBeHex(0, 32)
await reverted(token.permit.staticCall(to, to, 1n, 0n, 27, zero, zero), (error) =>
  assert.equal(error.reason, 'Token: the permit has expired'))
// Mined all the same, its receipt says so.
const failing = await token.transfer(to, 10n ** 30n, { gasLimit: 100_000 })
await reverted(failing.wait(1, 30_000), (error) => assert.equal(error.receipt.status, 0))
const inference = new Contract(
  '0x4841000000000000000000000000000000000003',
  ['function cancel(uint256 id)', 'error UnknownOrder(uint256 id)'],
  wallet,
)
await reverted(inference.cancel.staticCall(10n ** 9n), (error) =>
  assert.equal(error.revert.name, 'UnknownOrder'))

// EIP-712: an approval that the owner signed and somebody else may send.
const spender = Wallet.createRandom().address
const deadline = Math.floor(Date.now() / 1000) + 3600
const field = (name, type) => ({ name, type })
const signature = Signature.from(await wallet.signTypedData(
  { name: 'Assay', version: '1', chainId: id, verifyingContract: address },
  {
    Permit: [
      field('owner', 'address'), field('spender', 'address'), field('value', 'uint256'),
      field('nonce', 'uint256'), field('deadline', 'uint256'),
    ],
  },
  { owner: wallet.address, spender, value: 5n, nonce: 0n, deadline },
))
const permit = [wallet.address, spender, 5n, deadline, signature.v, signature.r, signature.s]
await mined(await token.permit(...permit))
assert.equal(await token.allowance(wallet.address, spender), 5n)
await reverted(token.permit.staticCall(...permit), (error) =>
  assert.equal(error.reason, "Token: not the owner's signature"))

// EIP-7702: the account borrows code that makes two transfers in one transaction.
const lender = await new ContractFactory(artifacts.BatchCalls.abi, artifacts.BatchCalls.bytecode, wallet).deploy()
await lender.waitForDeployment()
const lent = await lender.getAddress()
const authorization = await wallet.authorize({ address: lent, nonce: (await wallet.getNonce()) + 1 })
const transfer = (value) => ({ to: address, value: 0n, data: token.interface.encodeFunctionData('transfer', [to, value]) })
const both = await mined(await wallet.sendTransaction({
  type: 4,
  to: wallet.address,
  authorizationList: [authorization],
  data: new Interface(artifacts.BatchCalls.abi).encodeFunctionData('execute', [[transfer(10n), transfer(20n)]]),
}))
assert.equal(both.type, 4)
assert.equal((await provider.getTransaction(both.hash)).authorizationList.length, 1)
assert.equal(await token.balanceOf(to), received + 30n)
assert.equal((await provider.getCode(wallet.address)).toLowerCase(), `0xef0100${lent.slice(2)}`.toLowerCase())

// A batch: ethers puts what is asked at the same time into one request.
while ((await provider.getBlockNumber()) < 19) await new Promise((r) => setTimeout(r, 50))
let requests = 0
const counted = new FetchRequest(rpc[1])
counted.preflightFunc = async (request) => { requests += 1; return request }
const batching = new JsonRpcProvider(counted, id, { staticNetwork: true })
const blocks = await Promise.all(Array.from({ length: 20 }, (_, i) => batching.getBlock(i)))
assert.deepEqual(blocks.map((b) => b.number), Array.from({ length: 20 }, (_, i) => i))
assert.equal(requests, 1)

// WebSocket: blocks and pending transactions arrive by themselves.
const announced = new Set()
socket.on('pending', (hash) => announced.add(hash))
const head = new Promise((resolve) => socket.once('block', resolve))
const sent = []
while (!sent.some((hash) => announced.has(hash))) {
  assert.ok(sent.length < 60, 'no pending transaction was announced')
  sent.push((await wallet.sendTransaction({ to, value: 1n, data: hexlify(randomBytes(4)) })).hash)
  await new Promise((r) => setTimeout(r, 500))
}
assert.ok((await head) > 0)
console.log('ethers: accounts, fees, transfers of types 0, 1, 2 and 4, ERC-20, events by filter, search and subscription, reverts, EIP-712, EIP-7702, batch: ok')
process.exit(0)
