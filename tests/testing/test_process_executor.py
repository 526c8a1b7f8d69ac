from kept.pipelines.executor import ProcessExecutor
from kept.testing.executor import ExecutorKit


class TestProcessExecutor(ExecutorKit):
    def open(self, at_once: int) -> ProcessExecutor:
        return ProcessExecutor(at_once)
