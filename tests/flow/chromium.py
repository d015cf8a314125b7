# SPDX-License-Identifier: AGPL-3.0-or-later
"""Headless Chromium over --remote-debugging-pipe (Chrome DevTools Protocol), with the standard library only: no port, no driver.

    with Chromium() as chromium:
        page = chromium.page(1280, 900)
        page.go("https://localhost:7443/")
        page.js("document.title")
        page.screenshot("/tmp/x.png")
"""
import base64
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time

FLAGS = ("--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-sync "
         "--disable-component-update --disable-dev-shm-usage --hide-scrollbars --remote-debugging-pipe").split()


class Chromium:
    def __init__(self, *more, program="/usr/bin/chromium"):
        self.profile = tempfile.mkdtemp(prefix="keyward-chromium-")
        command_read, self.commands = os.pipe()
        self.answers, answer_write = os.pipe()
        self.buffer, self.last_id, self.events = b"", 0, []

        def pipes():
            # the browser reads commands from 3 and writes answers to 4
            first, second = os.dup(command_read), os.dup(answer_write)
            os.dup2(first, 3)
            os.dup2(second, 4)

        self.process = subprocess.Popen([program, *FLAGS, *more, f"--user-data-dir={self.profile}", "about:blank"], preexec_fn=pipes,
                                        close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        os.close(command_read)
        os.close(answer_write)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.call("Browser.close", seconds=30)
        except (OSError, EOFError, TimeoutError, RuntimeError):
            pass
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            pass
        # what it started may still write into the profile
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        shutil.rmtree(self.profile, ignore_errors=True)

    def receive(self, end):
        while b"\0" not in self.buffer:
            if not select.select([self.answers], [], [], max(0, end - time.monotonic()))[0]:
                raise TimeoutError("Chromium does not answer")
            data = os.read(self.answers, 1 << 20)
            if not data:
                raise EOFError("Chromium went away")
            self.buffer += data
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, session=None, seconds=60, **params):
        self.last_id += 1
        message = {"id": self.last_id, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        os.write(self.commands, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + seconds
        while True:
            answer = self.receive(end)
            if answer.get("id") == self.last_id:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def page(self, width=1280, height=900, javascript=True):
        return Page(self, width, height, javascript)


class Page:
    """A tab in a context (cookies) of its own."""

    def __init__(self, chromium, width, height, javascript):
        self.chromium = chromium
        context = chromium.call("Target.createBrowserContext")["browserContextId"]
        target = chromium.call("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        self.session = chromium.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        self.call("Page.setLifecycleEventsEnabled", enabled=True)
        # The page's own requests only: a test certificate authority is not in Chromium's store.
        self.call("Security.setIgnoreCertificateErrors", ignore=True)
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        self.has_javascript = javascript
        if not javascript:
            self.call("Emulation.setScriptExecutionDisabled", value=True)

    def call(self, method, **params):
        return self.chromium.call(method, self.session, **params)

    def loader(self):
        """What a document is known by, so that the end of the one before is not taken for that of the next one."""
        return self.call("Page.getFrameTree")["frameTree"]["frame"]["loaderId"]

    def wait_load(self, is_awaited, seconds=120):
        """Until a document whose loader is_awaited has been loaded."""
        end, seen = time.monotonic() + seconds, 0
        while True:
            while seen < len(self.chromium.events):
                event = self.chromium.events[seen]
                seen += 1
                if (event.get("sessionId") == self.session and event["method"] == "Page.lifecycleEvent" and event["params"]["name"] == "load" and
                        is_awaited(event["params"]["loaderId"])):
                    return
            self.chromium.events.append(self.chromium.receive(end))

    def go(self, url):
        answer = self.call("Page.navigate", url=url)
        if answer.get("errorText"):
            raise RuntimeError(f"{url}: {answer['errorText']}")
        self.wait_load(lambda loader: loader == answer["loaderId"])

    def _known(self):
        """Loaders of the document that is shown and of those before."""
        return {self.loader()} | {event["params"]["loaderId"] for event in self.chromium.events if event.get("method") == "Page.lifecycleEvent"}

    def js(self, expression):
        answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True, userGesture=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(json.dumps(answer["exceptionDetails"])[:400])
        return answer["result"].get("value")

    def type(self, selector, text):
        """As on a keyboard: into the field, without setting its value by script."""
        if not self.js(f"(e => {{ if (e) {{ e.focus(); e.select && e.select() }} return !!e }})(document.querySelector({json.dumps(selector)}))"):
            raise RuntimeError(f"no field {selector}")
        self.call("Input.insertText", text=text)

    def press_enter(self, navigates=True):
        known = self._known() if navigates else ()
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", windowsVirtualKeyCode=13, text="\r" if kind == "keyDown" else "")
        if navigates:
            self.wait_load(lambda loader: loader not in known)

    def click(self, selector, navigates=True):
        where = self.js(f"(e => {{ if (!e) return null; e.scrollIntoView({{block: 'center'}}); const r = e.getBoundingClientRect();"
                        f" return [r.x + r.width / 2, r.y + r.height / 2] }})(document.querySelector({json.dumps(selector)}))")
        if not where:
            raise RuntimeError(f"nothing to click at {selector}")
        known = self._known() if navigates else ()
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=where[0], y=where[1], button="left", clickCount=1)
        if navigates:
            self.wait_load(lambda loader: loader not in known)

    def screenshot(self, path):
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)["data"]))

    def problems(self):
        """What the console complains about, a violated content policy among it."""
        found = []
        for event in self.chromium.events:
            if event.get("sessionId") == self.session and event["method"] in ("Log.entryAdded", "Runtime.exceptionThrown"):
                entry = event["params"].get("entry") or event["params"].get("exceptionDetails", {})
                found.append(entry.get("text", json.dumps(entry)[:200]))
        return found

    def cookies(self):
        return {cookie["name"]: cookie for cookie in self.call("Network.getCookies")["cookies"]}

    def scrolls_sideways(self):
        return self.js("document.documentElement.scrollWidth > document.documentElement.clientWidth")
