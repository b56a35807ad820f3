// An unmodified viem against a live network: balance, nonce, fees, send, receipt, logs, call,
// estimateGas, block and chain id. Addresses and keys come from `hallmark demo --serve --json`.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createPublicClient, createWalletClient, defineChain, http, webSocket, parseAbi, parseEther } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'

const demo = JSON.parse(readFileSync(process.argv[2], 'utf8'))
const { rpc, keys, models, paid_order: paidOrder } = demo.serving
const chain = defineChain({
  id: 1618,
  name: 'Hallmark local',
  nativeCurrency: { name: 'MARK', symbol: 'MARK', decimals: 18 },
  rpcUrls: { default: { http: [rpc[0]] } },
})
const client = createPublicClient({ chain, transport: http(), pollingInterval: 50 })
const other = createPublicClient({ chain, transport: http(rpc[rpc.length - 1]), pollingInterval: 50 })
const account = privateKeyToAccount(keys[0].private_key)
const wallet = createWalletClient({ account, chain, transport: http() })

assert.equal(await client.getChainId(), 1618)
assert.equal(account.address.toLowerCase(), keys[0].address.toLowerCase())
assert.ok((await client.getBalance({ address: account.address })) > 0n)
const fees = await client.estimateFeesPerGas()
assert.ok(fees.maxFeePerGas > 0n)

const to = '0x00000000000000000000000000000000000c0ffe'
const before = await other.getBalance({ address: to })
const nonce = await client.getTransactionCount({ address: account.address })
assert.equal(await client.estimateGas({ account, to, value: 1n }), 21000n)
const hash = await wallet.sendTransaction({ to, value: parseEther('1.5') })
const receipt = await client.waitForTransactionReceipt({ hash })
assert.equal(receipt.status, 'success')
assert.equal(receipt.gasUsed, 21000n)
assert.equal(await client.getTransactionCount({ address: account.address }), nonce + 1)
while ((await other.getBlockNumber()) < receipt.blockNumber) await new Promise((r) => setTimeout(r, 20))
assert.equal(await other.getBalance({ address: to }), before + parseEther('1.5'))

const block = await client.getBlock({ blockNumber: receipt.blockNumber, includeTransactions: true })
assert.ok(block.transactions.some((t) => t.hash === hash))
assert.equal((await client.getBlock({ blockTag: 'finalized' })).number >= receipt.blockNumber, true)

// A deploy and a call: the contract returns 42.
const deploy = await wallet.sendTransaction({ data: '0x600a600c600039600a6000f3602a60005260206000f3' })
const deployed = await client.waitForTransactionReceipt({ hash: deploy })
const answer = await client.call({ to: deployed.contractAddress })
assert.equal(BigInt(answer.data), 42n)

// Our contracts through their ABI, the Paid event among the logs, and a revert by name.
const inference = '0x4841000000000000000000000000000000000003'
const abi = parseAbi([
  'function count() view returns (uint256)',
  'function cancel(uint256 id)',
])
assert.ok((await client.readContract({ address: inference, abi, functionName: 'count' })) > 0n)
await assert.rejects(
  client.simulateContract({ account, address: inference, abi, functionName: 'cancel', args: [10n ** 9n] }),
  /revert/i,
)
const logs = await client.getLogs({ address: inference, fromBlock: 0n, toBlock: 'latest' })
assert.ok(logs.length > 0)

// WebSocket subscription: the next block arrives by itself.
const ws = createPublicClient({ chain, transport: webSocket(demo.serving.ws[0]) })
const head = await new Promise((resolve, reject) => {
  const stop = ws.watchBlockNumber({ onBlockNumber: (n) => { stop(); resolve(n) }, onError: reject })
})
assert.ok(head > 0n)
console.log('viem: chain id, balance, nonce, fees, send, receipt, block, deploy, call, revert, logs, subscription: ok')
process.exit(0)
