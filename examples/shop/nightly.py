# SPDX-License-Identifier: Apache-2.0
"""The nightly import of the demo shop: a job with its own trace, which a deployment kills before it finishes.

The scheduler (process 1) starts the job with TRACEPARENT in its environment, as batch systems with tracing do, and sends the span to
the collector after the job. whodunit's record of the termination belongs to the same trace.
"""

import json
import os
import secrets
import signal
import subprocess
import sys
import time
import urllib.request

PACE_SECONDS = float(os.environ.get("SHOP_PACE_SECONDS", "20"))


def job():
    """Runs longer than its grace period. On SIGTERM it only logs that it is busy, so the deployment kills it."""
    signal.signal(signal.SIGTERM, lambda *_: print("nightly: still importing, one moment", flush=True))
    print("nightly: importing", flush=True)
    while True:
        time.sleep(PACE_SECONDS)


def send_span(trace_id, span_id, start_ns, code):
    """Sends the span of one run over OTLP, as JSON. If the collector is down, the import continues."""
    attribute = {"key": "service.name", "value": {"stringValue": os.environ.get("OTEL_SERVICE_NAME", "nightly")}}
    span = {
        "traceId": trace_id,
        "spanId": span_id,
        "name": "nightly import",
        "kind": 1,
        "startTimeUnixNano": str(start_ns),
        "endTimeUnixNano": str(time.time_ns()),
        "status": {"code": 2 if code else 1},
    }
    body = {"resourceSpans": [{"resource": {"attributes": [attribute]}, "scopeSpans": [{"spans": [span]}]}]}
    request = urllib.request.Request(
        os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] + "/v1/traces",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        urllib.request.urlopen(request, timeout=5).close()
    except OSError as error:
        print(f"nightly: the span could not be sent: {error}", flush=True)


def scheduler():
    while True:
        trace_id, span_id, start_ns = secrets.token_hex(16), secrets.token_hex(8), time.time_ns()
        environment = {**os.environ, "TRACEPARENT": f"00-{trace_id}-{span_id}-01"}
        code = subprocess.call([sys.executable, __file__, "import"], env=environment)
        print(f"nightly: the import ended with {code}, trace {trace_id}", flush=True)
        send_span(trace_id, span_id, start_ns, code)
        time.sleep(PACE_SECONDS / 10)


if __name__ == "__main__":
    # The kernel drops signals that process 1 does not handle, and `docker stop` must work.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    job() if sys.argv[1:] == ["import"] else scheduler()
