"""An ASGI application behind a real port."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any


@contextmanager
def served(app: Any) -> Iterator[str]:
    """Serve in a thread; yield the URL without a path."""
    import uvicorn

    with closing(socket.socket()) as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
