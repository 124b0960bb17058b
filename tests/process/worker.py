"""A thread of a test that does something again and again."""
import threading


class Worker(threading.Thread):
    """Calls once() until it is told to stop; keeps the error that ended it."""

    patience = 60  # seconds until it is taken for hanging

    def __init__(self, name):
        super().__init__(name=name)
        self.stopping = threading.Event()
        self.error = None

    def run(self):
        try:
            while not self.stopping.is_set():
                self.once()
        except BaseException as error:
            self.error = error

    def end(self):
        self.stopping.set()
        self.join(timeout=self.patience)
        assert not self.is_alive(), f"{self.name} hangs"
        if self.error:
            raise self.error
