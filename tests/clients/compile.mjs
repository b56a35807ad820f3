// Compiles our example contracts with an unmodified solc and writes what the clients deploy:
// node compile.mjs CONTRACTS_FOLDER > artifacts.json
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import solc from 'solc'

const folder = process.argv[2]
const sources = {}
for (const place of ['', 'examples']) {
  for (const file of readdirSync(join(folder, place)).filter((name) => name.endsWith('.sol'))) {
    const name = join('contracts', place, file)
    sources[name] = { content: readFileSync(join(folder, place, file), 'utf8') }
  }
}
const settings = {
  optimizer: { enabled: true },
  outputSelection: { '*': { '*': ['abi', 'evm.bytecode.object'] } },
}
const output = JSON.parse(solc.compile(JSON.stringify({ language: 'Solidity', sources, settings })))
const complaints = (output.errors ?? []).filter(
  // A name that the interfaces share between a method and its argument is no defect.
  (error) => error.severity === 'error' || error.sourceLocation?.file.includes('/examples/'),
)
if (complaints.length > 0) {
  for (const complaint of complaints) console.error(complaint.formattedMessage)
  process.exit(1)
}
const artifacts = { solc: solc.version() }
for (const [file, contracts] of Object.entries(output.contracts)) {
  if (!file.includes('/examples/')) continue
  for (const [name, contract] of Object.entries(contracts)) {
    artifacts[name] = { abi: contract.abi, bytecode: '0x' + contract.evm.bytecode.object }
  }
}
console.log(JSON.stringify(artifacts))
