// An unmodified viem against a live network of four processes: node viem.mjs network.json artifacts.json
// (what tests/clients/network.rs prints, what compile.mjs writes).
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import {
  createPublicClient, createWalletClient, decodeEventLog, defineChain, encodeFunctionData, http,
  parseAbi, parseEther, parseSignature, webSocket, BaseError, ContractFunctionRevertedError,
} from 'viem'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'

const read = (path) => JSON.parse(readFileSync(path, 'utf8'))
const [network, artifacts] = [read(process.argv[2]), read(process.argv[3])]
const { rpc, ws, keys, chain_id: id } = network
const chain = defineChain({
  id,
  name: 'Hallmark local',
  nativeCurrency: { name: 'MARK', symbol: 'MARK', decimals: 18 },
  rpcUrls: { default: { http: [rpc[0]] } },
})
const client = createPublicClient({ chain, transport: http(), pollingInterval: 50 })
const other = createPublicClient({ chain, transport: http(rpc.at(-1)), pollingInterval: 50 })
const account = privateKeyToAccount(keys[0].private_key)
const wallet = createWalletClient({ account, chain, transport: http() })
const mined = async (hash) => {
  const receipt = await client.waitForTransactionReceipt({ hash })
  assert.equal(receipt.status, 'success')
  return receipt
}

// Accounts and fees.
assert.equal(await client.getChainId(), id)
assert.equal(account.address.toLowerCase(), keys[0].address.toLowerCase())
assert.ok((await client.getBalance({ address: account.address })) > 0n)
assert.ok((await client.estimateFeesPerGas()).maxFeePerGas > 0n)
const history = await client.getFeeHistory({ blockCount: 2, rewardPercentiles: [10, 50] })
assert.equal(history.baseFeePerGas.length, history.gasUsedRatio.length + 1)

// A transfer of every type, seen from another validator.
const to = privateKeyToAccount(generatePrivateKey()).address
const nonce = await client.getTransactionCount({ address: account.address })
assert.equal(await client.estimateGas({ account, to, value: 1n }), 21000n)
const receipt = await mined(await wallet.sendTransaction({ to, value: parseEther('1.5') }))
assert.equal(receipt.gasUsed, 21000n)
assert.equal(receipt.type, 'eip1559')
const gasPrice = (await client.getGasPrice()) * 2n
for (const [type, fields] of [
  ['legacy', { gasPrice }],
  ['eip2930', { gasPrice, accessList: [{ address: to, storageKeys: [] }] }],
]) {
  const hash = await wallet.sendTransaction({ to, value: 1n, type, ...fields })
  assert.equal((await mined(hash)).type, type)
  assert.equal((await client.getTransaction({ hash })).type, type)
}
assert.equal(await client.getTransactionCount({ address: account.address }), nonce + 3)
const latest = await client.getBlockNumber()
while ((await other.getBlockNumber()) < latest) await new Promise((r) => setTimeout(r, 20))
assert.equal(await other.getBalance({ address: to }), parseEther('1.5') + 2n)
const block = await client.getBlock({ blockNumber: receipt.blockNumber, includeTransactions: true })
assert.ok(block.transactions.some((t) => t.hash === receipt.transactionHash))
assert.ok((await client.getBlock({ blockTag: 'finalized' })).number >= receipt.blockNumber)
const proof = await client.getProof({ address: to, storageKeys: [] })
assert.ok(proof.balance > 0n && proof.accountProof.length > 0)

// What is refused is refused in the words that viem knows by name.
const named = async (promise, name) =>
  assert.rejects(promise, (error) => {
    assert.ok(error instanceof BaseError, String(error))
    assert.ok(error.walk((cause) => cause.name === name), `${name}: ${error}`)
    return true
  })
const fees = { gas: 21000n, maxFeePerGas: gasPrice, maxPriorityFeePerGas: 1n }
await named(wallet.sendTransaction({ to, nonce: 0, ...fees }), 'NonceTooLowError')
await named(wallet.sendTransaction({ to, ...fees, value: 10n ** 30n }), 'InsufficientFundsError')

// ERC-20: deploy, read, write, events by filter, by search and by subscription.
const { abi, bytecode } = artifacts.Token
const deployed = await mined(await wallet.deployContract({
  abi, bytecode, args: ['Assay', 'ASY', parseEther('1000')],
}))
const token = { address: deployed.contractAddress, abi }
const balanceOf = (address) => client.readContract({ ...token, functionName: 'balanceOf', args: [address] })
assert.equal(await client.readContract({ ...token, functionName: 'symbol' }), 'ASY')
assert.equal(await balanceOf(account.address), parseEther('1000'))
assert.ok((await client.getCode({ address: token.address })).length > 2)

const socket = createPublicClient({ chain, transport: webSocket(ws[0]) })
const first = (watch) =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('no event in time')), 30_000)
    const stop = watch({
      onLogs: ([log]) => { clearTimeout(timer); stop(); resolve(log) },
      onError: (error) => { clearTimeout(timer); reject(error) },
    })
  })
const event = { ...token, eventName: 'Transfer', args: { to } }
const subscribed = first((on) => socket.watchContractEvent({ ...event, ...on }))
const polled = first((on) => client.watchContractEvent({ ...event, ...on, poll: true }))
// viem does not say when subscription and filter are in place: transfers go on until both saw one.
const transfers = []
const both = Promise.all([subscribed, polled])
do {
  transfers.push(await mined(await wallet.writeContract({ ...token, functionName: 'transfer', args: [to, 7n] })))
} while (!(await Promise.race([both, new Promise((r) => setTimeout(r, 500))])))
for (const log of await both) {
  assert.ok(transfers.some((moved) => moved.transactionHash === log.transactionHash))
  assert.equal(log.args.value, 7n)
}
assert.equal(decodeEventLog({ abi, ...transfers[0].logs[0] }).eventName, 'Transfer')
const found = await client.getContractEvents({ ...event, fromBlock: transfers[0].blockNumber, toBlock: 'latest' })
assert.deepEqual(
  found.map((log) => [log.transactionHash, log.args.value]),
  transfers.map((moved) => [moved.transactionHash, 7n]),
)
const received = 7n * BigInt(transfers.length)
assert.equal(await balanceOf(to), received)

// Reverts with their reasons: an error by name, a text, and one of the chain's own contracts.
const reverted = async (call, check) =>
  assert.rejects(client.simulateContract({ account, ...call }), (error) => {
    const cause = error.walk((e) => e instanceof ContractFunctionRevertedError)
    assert.ok(cause, String(error))
    check(cause)
    return true
  })
await reverted({ ...token, functionName: 'transferFrom', args: [to, account.address, 1n] }, (cause) => {
  assert.equal(cause.data.errorName, 'ERC20InsufficientAllowance')
  assert.deepEqual(cause.data.args, [account.address, 0n, 1n])
})
const zero = `0x${'00'.repeat(32)}`
await reverted(
  { ...token, functionName: 'permit', args: [to, to, 1n, 0n, 27, zero, zero] },
  (cause) => assert.equal(cause.reason, 'Token: the permit has expired'),
)
await reverted(
  {
    address: '0x4841000000000000000000000000000000000003',
    abi: parseAbi(['function cancel(uint256 id)', 'error UnknownOrder(uint256 id)']),
    functionName: 'cancel',
    args: [10n ** 9n],
  },
  (cause) => assert.equal(cause.data.errorName, 'UnknownOrder'),
)

// EIP-712: an approval that the owner signed and somebody else may send.
const spender = privateKeyToAccount(generatePrivateKey())
const deadline = BigInt(Math.floor(Date.now() / 1000) + 3600)
const signature = parseSignature(await wallet.signTypedData({
  domain: { name: 'Assay', version: '1', chainId: id, verifyingContract: token.address },
  types: {
    Permit: [
      { name: 'owner', type: 'address' }, { name: 'spender', type: 'address' },
      { name: 'value', type: 'uint256' }, { name: 'nonce', type: 'uint256' },
      { name: 'deadline', type: 'uint256' },
    ],
  },
  primaryType: 'Permit',
  message: { owner: account.address, spender: spender.address, value: 5n, nonce: 0n, deadline },
}))
const permit = [account.address, spender.address, 5n, deadline, Number(signature.v), signature.r, signature.s]
await mined(await wallet.writeContract({ ...token, functionName: 'permit', args: permit }))
const allowed = await client.readContract({
  ...token, functionName: 'allowance', args: [account.address, spender.address],
})
assert.equal(allowed, 5n)
await reverted(
  { ...token, functionName: 'permit', args: permit },
  (cause) => assert.equal(cause.reason, "Token: not the owner's signature"),
)

// EIP-7702: the account borrows code that makes two transfers in one transaction.
const batch = await mined(await wallet.deployContract(artifacts.BatchCalls))
const authorization = await wallet.signAuthorization({
  account, contractAddress: batch.contractAddress, executor: 'self',
})
const transfer = (value) => ({
  to: token.address, value: 0n,
  data: encodeFunctionData({ abi, functionName: 'transfer', args: [to, value] }),
})
const batched = await wallet.sendTransaction({
  to: account.address,
  authorizationList: [authorization],
  data: encodeFunctionData({
    abi: artifacts.BatchCalls.abi, functionName: 'execute', args: [[transfer(10n), transfer(20n)]],
  }),
})
assert.equal((await mined(batched)).type, 'eip7702')
assert.equal((await client.getTransaction({ hash: batched })).authorizationList.length, 1)
assert.equal(await balanceOf(to), received + 30n)
assert.equal(
  (await client.getCode({ address: account.address })).toLowerCase(),
  `0xef0100${batch.contractAddress.slice(2)}`.toLowerCase(),
)

// A batch: one request over HTTP for all of these.
const second = createPublicClient({ chain, transport: http(rpc[1]), cacheTime: 0 })
while ((await second.getBlockNumber()) < 19n) await new Promise((r) => setTimeout(r, 50))
let requests = 0
const batching = createPublicClient({
  chain,
  transport: http(rpc[1], { batch: true, onFetchRequest: () => { requests += 1 } }),
})
const blocks = await Promise.all(Array.from({ length: 20 }, (_, i) => batching.getBlock({ blockNumber: BigInt(i) })))
assert.deepEqual(blocks.map((b) => b.number), Array.from({ length: 20 }, (_, i) => BigInt(i)))
assert.equal(requests, 1)

// WebSocket: the next block arrives by itself.
const head = await new Promise((resolve, reject) => {
  const stop = socket.watchBlockNumber({ onBlockNumber: (n) => { stop(); resolve(n) }, onError: reject })
})
assert.ok(head > 0n)
console.log('viem: accounts, fees, transfers of types 0, 1, 2 and 4, ERC-20, events by filter, search and subscription, reverts, EIP-712, EIP-7702, batch: ok')
process.exit(0)
