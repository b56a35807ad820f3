// Our example contracts on a live network of four processes, with a real seller and a real topic:
// node examples.mjs network.json artifacts.json FOLDER
import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import {
  createPublicClient, createWalletClient, defineChain, http, parseAbi, parseEther, parseEventLogs,
  ContractFunctionRevertedError,
} from 'viem'
import { privateKeyToAccount } from 'viem/accounts'

const read = (path) => JSON.parse(readFileSync(path, 'utf8'))
const [network, artifacts, folder] = [read(process.argv[2]), read(process.argv[3]), process.argv[4]]
const { hallmark, rpc, keys, chain_id: id } = network
const chain = defineChain({
  id,
  name: 'Hallmark local',
  nativeCurrency: { name: 'MARK', symbol: 'MARK', decimals: 18 },
  rpcUrls: { default: { http: [rpc[0]] } },
})
const client = createPublicClient({ chain, transport: http(), pollingInterval: 50 })

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const until = async (what, look, ms = 120_000) => {
  for (const end = Date.now() + ms; Date.now() < end; await pause(200)) {
    const seen = await look()
    if (seen) return seen
  }
  throw new Error(`not in time: ${what}`)
}
const environment = (key) => ({
  ...process.env,
  HALLMARK_RPC: rpc[0],
  HALLMARK_KEY: keys[key].file,
  HALLMARK_TOPIC_SECRETS: join(folder, 'topic-secrets'),
})
const contract = (name, address) => ({ address, abi: artifacts[name].abi })
const mined = async (hash) => {
  const receipt = await client.waitForTransactionReceipt({ hash })
  assert.equal(receipt.status, 'success')
  return receipt
}
// Name of the error in which a call ends; undefined if it succeeds.
const fate = (call) => client.simulateContract(call).then(
  () => undefined,
  (error) => error.walk((e) => e instanceof ContractFunctionRevertedError)?.data?.errorName ?? String(error),
)

// Somebody with a key: signs, deploys, calls, runs the command line.
function party(key) {
  const account = privateKeyToAccount(keys[key].private_key)
  const wallet = createWalletClient({ account, chain, transport: http() })
  return {
    address: account.address,
    cli: async (...args) => {
      const done = await promisify(execFile)(hallmark, [...args, '--json'], { env: environment(key) })
      return JSON.parse(done.stdout)
    },
    deploy: async (name, args, value) => {
      const hash = await wallet.deployContract({ ...artifacts[name], args, value })
      return contract(name, (await mined(hash)).contractAddress)
    },
    // Sends a call and returns the contract's events.
    write: async (target, functionName, args = [], value = undefined) => {
      const hash = await wallet.writeContract({ ...target, functionName, args, value })
      return parseEventLogs({ abi: target.abi, logs: (await mined(hash)).logs })
    },
    fate: (target, functionName, args = [], value = undefined) =>
      fate({ account, ...target, functionName, args, value }),
  }
}

// Everyone in one go: what waits for the chain waits side by side.
await Promise.all([ordersInference(), readsTopic()])
process.exit(0)

async function ordersInference() {
  const { address, cli, deploy, write, fate } = party(4)
  const inference = {
    address: '0x4841000000000000000000000000000000000003',
    abi: parseAbi([
      'function input(uint256 id) view returns (bytes)',
      'error WrongPayment(uint256 price)',
    ]),
  }
  // An image that training never saw, asked about by the command line: the bytes of its input, and
  // what the model says of it.
  const rows = readFileSync(network.digits, 'utf8').split('\n').filter((row) => row.startsWith('test,'))
  const [, label, ...pixels] = rows[0].split(',').map(Number)
  const image = join(folder, 'image.json')
  writeFileSync(image, JSON.stringify({ input_data: [pixels.map((grey) => grey / 16)] }))
  const receipt = join(folder, 'receipt.json')
  const told = await cli('infer', 'digits', image, '--public', '--receipt', receipt)
  assert.equal(told.argmax, label)
  const input = await client.readContract({ ...inference, functionName: 'input', args: [BigInt(told.order)] })

  const price = BigInt(network.model_price)
  const prize = parseEther('5')
  const width = network.output_bytes / 10
  const play = (model, coins) => deploy('OrdersInference', [model, 10, width, label], coins)
  const now = async () => (await client.getBlock()).timestamp * 1000n
  const ask = async (game, milliseconds) => {
    const events = await write(game, 'ask', [input, (await now()) + milliseconds], price)
    const [asked] = events.filter((event) => event.eventName === 'Asked')
    assert.equal(asked.args.asker, address)
    return asked.args.order
  }
  // Settles as soon as the market is done with the order; before, it is refused.
  const settle = async (game, order) => {
    await until('the end of the order', async () => {
      const error = await fate(game, 'settle', [order])
      assert.ok(error === undefined || error === 'NotFinal', error)
      return error === undefined
    })
    const [settled] = await write(game, 'settle', [order])
    assert.equal(await fate(game, 'settle', [order]), 'NothingToSettle')
    return settled
  }

  // A model whose file is nowhere: nobody can run it, the market refunds, the contract hands back.
  const nowhere = join(folder, 'lenet.hmk')
  await cli('zk', 'compile', network.lenet, '--calibrate', network.digits, '-o', nowhere)
  const unserved = await cli(
    'model', 'publish', nowhere, '--name', 'nobody', '--price', '0.01', '--owner-share', '10',
    '--uri', 'http://127.0.0.1:9/nowhere.hmk',
  )
  const idle = await play(unserved.id, 0n)
  const forgotten = await ask(idle, 20_000n)
  assert.equal(await fate(idle, 'settle', [forgotten]), 'NotFinal')

  const game = await play(network.model, prize)
  assert.equal(
    await fate({ ...game, abi: [...game.abi, ...inference.abi] }, 'ask', [input, (await now()) + 60_000n], price + 1n),
    'WrongPayment',
  )
  assert.equal(await fate(game, 'settle', [1n]), 'NothingToSettle')
  // The first answer of the wanted class takes the prize; the second is the same, and wins nothing.
  for (const won of [prize, 0n]) {
    const order = await ask(game, 120_000n)
    const answered = await settle(game, order)
    assert.equal(answered.eventName, 'Answered')
    assert.deepEqual(answered.args, { order, asker: address, class: label, won })
    assert.equal(await client.getBalance({ address: game.address }), 0n)
    // The contract was the buyer, and anybody can check what it acted on.
    const shown = await cli('order', 'show', String(order))
    assert.equal(shown.status, 'paid')
    assert.equal(shown.buyer.toLowerCase(), game.address.toLowerCase())
  }

  const returned = await settle(idle, forgotten)
  assert.equal(returned.eventName, 'Returned')
  assert.deepEqual(returned.args, { order: forgotten, asker: address, refund: price })
  assert.equal(await client.getBalance({ address: idle.address }), 0n)
  console.log('OrdersInference: ordered, proven, prize paid once; refunded and handed back; refusals: ok')
}

async function readsTopic() {
  const { cli, deploy, write, fate } = party(5)
  const plan = join(folder, 'topic.json')
  writeFileSync(plan, JSON.stringify({
    title: 'a number near twenty',
    mechanisms: [{ kind: 'synthesis' }],
    policy: {
      open: '6s', sealed: '4s', lag: '4s', reveal: '4s', minBond: '10', maxWorkers: 4, valueMin: 0, valueMax: 100,
    },
  }))
  const { topic } = await cli('topic', 'create', plan)
  await cli('topic', 'fund', String(topic), '1000')
  const q64 = (number) => BigInt(Math.round(number * 2 ** 20)) << 44n
  const reader = (age, width, threshold) =>
    deploy('ReadsTopic', [BigInt(topic), BigInt(age), q64(width), q64(threshold)])
  const above = await reader(600_000, 10, 15)
  const below = await reader(600_000, 10, 30)
  const within = await reader(600_000, 10, 20)
  const strict = await reader(600_000, 0, 15)
  const hasty = await reader(0, 10, 15)
  assert.equal(await fate(above, 'act'), 'NoInference')

  const programs = [
    [0, 'worker', '{"value": 20.25}'],
    [6, 'worker', '{"value": "19.5"}'],
    [7, 'reputer', '{"truth": 20}'],
  ].map(([key, role, line]) => {
    const script = join(folder, `program-${key}.sh`)
    writeFileSync(script, `while read question; do echo '${line}'; done\n`)
    const args = ['topic', 'work', '--topic', String(topic), '--role', role, '--exec', `sh ${script}`]
    return spawn(hallmark, [...args, '--epochs', '2', '--stake', '100', '--max-bond', '10000', '--json'], {
      env: environment(key), stdio: 'ignore',
    })
  })
  try {
    await until('a network inference', async () => (await fate(above, 'act')) === undefined)
    const [decided] = await write(above, 'act')
    assert.equal(decided.eventName, 'Decided')
    const { value, low, high, epoch, on } = decided.args
    assert.ok(low <= value && value <= high && high - low < q64(10), `${low} ${value} ${high}`)
    assert.ok(value >= q64(19.5) && value <= q64(20.25), String(value))
    assert.ok(epoch >= 1n)
    assert.equal(on, true)
    assert.equal(await client.readContract({ ...above, functionName: 'on' }), true)
    assert.equal((await write(below, 'act'))[0].args.on, false)
    // The threshold lies within the interval: the forecast does not know, nothing moves.
    const [undecided] = await write(within, 'act')
    assert.ok(undecided.args.low <= q64(20) && q64(20) <= undecided.args.high)
    assert.equal(undecided.args.on, false)
    assert.equal(await fate(strict, 'act'), 'TooUncertain')
    assert.equal(await fate(hasty, 'act'), 'Stale')
  } finally {
    for (const program of programs) program.kill()
  }
  console.log('ReadsTopic: on above, off below, unmoved within; vague, old and missing forecasts refused: ok')
}
