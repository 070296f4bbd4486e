"""`python -m mediahub.alive`: ends with 0 while the web server on this host answers, for health checks.

Plain Python: a health check runs often. The worker's is `manage.py worker_alive`.
"""

from __future__ import annotations

import http.client
import os
import sys

TIMEOUT_S = 5.0


def answers(port: int) -> bool:
    """Whether a request is answered by the application. A redirect to https is an answer too."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/health/live")
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(0 if answers(int(os.environ.get("PORT") or "8000")) else 1)
