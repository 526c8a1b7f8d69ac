"""Logs runs as people do, with the client as it is published: `log_runs.py COUNT`. It runs in the client's environment."""

import json
import statistics
import sys
import time

import mlflow

mlflow.set_experiment("through the client")
taken = []
computed = []
run_id = ""
for _ in range(int(sys.argv[1]) + 1):
    begun, computing = time.perf_counter(), time.process_time()
    with mlflow.start_run() as run:
        for number in range(10):
            mlflow.log_param(f"param-{number}", number * 3)
        for number in range(10):
            mlflow.log_metric(f"metric-{number}", number / 7, step=number)
    taken.append((time.perf_counter() - begun) * 1e3)
    computed.append((time.process_time() - computing) * 1e3)
    run_id = run.info.run_id
data = mlflow.get_run(run_id).data
# The first run also opens the connection and looks at the surroundings.
print(
    json.dumps(
        {
            "milliseconds": statistics.median(taken[1:]),
            "own": statistics.median(computed[1:]),
            "logged": {"params": data.params, "metrics": data.metrics},
        }
    )
)
