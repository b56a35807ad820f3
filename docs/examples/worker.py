"""A worker of a forecasting topic: says the last known value plus the last change.

hallmark topic work --exec 'python3 docs/examples/worker.py series.txt' --topic 1 --key worker.key
"""
import json, sys

for line in sys.stdin:                                   # one question a line
    question = json.loads(line)
    series = [float(x) for x in open(sys.argv[1])] if len(sys.argv) > 1 else [0.0, 0.0]
    answer = {"value": 2 * series[-1] - series[-2]}      # {"skip": true} says nothing this epoch
    print(json.dumps(answer if question["type"] == "inference" else {"skip": True}), flush=True)
