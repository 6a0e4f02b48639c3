"""Small pages made of data."""

from __future__ import annotations

from html import escape

from contracts.failures import CODES

_FATES = {
    "4": "The request is at fault: sent again unchanged, it gets the same answer.",
    "429": "Wait for the time that Retry-After names, then send the request again.",
    "5": "Our side, or a broker's, is at fault. Sent again later, the request may succeed; use an"
    " Idempotency-Key so that it is done once.",
}


def problem_page(code: str) -> str:
    """Explains one failure code; `code` is known."""
    status, title = CODES[code]
    fate = _FATES.get(str(status)) or _FATES[str(status)[0]]
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(code)} · HybridMQ</title>
<link rel="stylesheet" href="/docs/docs.css">
</head>
<body class="page">
<main>
<p><a href="/docs">API reference</a></p>
<h1>{escape(title)}</h1>
<dl>
<dt>code</dt><dd><code>{escape(code)}</code></dd>
<dt>status</dt><dd><code>{status}</code></dd>
</dl>
<p>{escape(fate)}</p>
<p>The problem document's <code>detail</code> says what happened this time, <code>errors</code> names the
fields that are at fault, and <code>trace_id</code> finds the request in our logs.</p>
</main>
</body>
</html>
"""
