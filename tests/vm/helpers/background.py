# SPDX-License-Identifier: GPL-2.0-only
"""What goes on beside a test or a measurement."""

import threading


class Background:
    """For a with statement: _work() runs in a thread, until it sees that _over is set; its error is raised at the end."""

    def __init__(self):
        self._error = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _work(self):
        raise NotImplementedError

    def _run(self):
        try:
            self._work()
        except Exception as error:          # for whoever waits for the end
            self._error = error

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, kind, value, trace):
        self._over.set()
        self._thread.join()
        if self._error and kind is None:
            raise self._error
