"""Each fault does what its name says, and no more."""

import http.client
import json
import time
import unittest
from email.utils import parsedate_to_datetime

from harness import Case, DevVault, wait_until


class Statuses(Case):
    def statuses(self, dv, n):
        return [dv.call("GET", "/secrets").status for _ in range(n)]

    def test_first(self):
        dv = self.with_faults("429:first=2,retry-after=1", "503:first=1")
        self.assertEqual(self.statuses(dv, 5), [429, 429, 503, 200, 200])
        self.assertEqual(dv.stats()["list"], {"429": 2, "503": 1, "200": 2})

    def test_bodies_and_retry_after(self):
        dv = self.with_faults(
            "429:first=1",
            "429:first=1,retry-after=7",
            "429:first=1,retry-after-ms=70",
            "503:first=1,retry-after-date=9",
        )
        a = dv.call("GET", "/secrets")
        self.refused(a, 429, "Throttled")
        self.assertIsNone(a.headers["Retry-After"])
        self.assertEqual(dv.call("GET", "/secrets").headers["Retry-After"], "7")
        a = dv.call("GET", "/secrets")
        self.assertEqual(
            (a.headers["retry-after-ms"], a.headers["x-ms-retry-after-ms"]),
            ("70", "70"),
        )
        a = dv.call("GET", "/secrets")
        self.refused(a, 503, "ServiceUnavailable")
        left = parsedate_to_datetime(a.headers["Retry-After"]).timestamp() - time.time()
        self.assertTrue(6 < left < 11, left)

    def test_always_and_op(self):
        dv = self.with_faults("500:op=get", "504:always,op=list")
        self.assertEqual(self.statuses(dv, 3), [504, 504, 504])
        self.refused(dv.call("GET", "/secrets/a"), 500, "InternalServerError")
        dv.set("a")

    def test_chance_is_repeatable(self):
        def run():
            dv = self.start("--fault", "429:0.3", "--fault-seed", "42")
            return self.statuses(dv, 60)

        first = run()
        self.assertEqual(first, run())
        self.assertTrue(5 <= first.count(429) <= 35, first.count(429))

    def test_token_faults(self):
        dv = self.with_faults(
            "token-500:first=1",
            "token-429:first=1,retry-after=3",
            "token-expires-in-string",
            "token-delay=1ms",
        )
        self.assertEqual(dv.ask_token().status, 500)
        a = dv.ask_token()
        self.assertEqual(
            (a.status, a.json["error"], a.headers["Retry-After"]),
            (429, "temporarily_unavailable", "3"),
        )
        self.assertEqual(dv.ask_token().json["expires_in"], "3599")
        self.assertEqual(dv.call("GET", "/secrets").status, 200)


class Transport(Case):
    def test_reset(self):
        dv = self.with_faults("reset:first=1,op=set")
        with self.assertRaises((ConnectionError, http.client.HTTPException, OSError)):
            dv.set("a")
        self.refused(dv.call("GET", "/secrets/a"), 404, "SecretNotFound")
        dv.set("a")
        self.assertEqual(dv.stats()["set"], {"0": 1, "200": 1})

    def test_lost(self):
        dv = self.with_faults("lost:first=1,op=set")
        with self.assertRaises((ConnectionError, http.client.HTTPException, OSError)):
            dv.set("a", "kept")
        self.assertEqual(dv.call("GET", "/secrets/a").json["value"], "kept")

    def test_truncate(self):
        dv = self.with_faults("truncate:first=1,op=get")
        dv.set("a", "x" * 1000)
        with self.assertRaises((http.client.IncompleteRead, OSError)):
            dv.call("GET", "/secrets/a")
        self.assertEqual(dv.call("GET", "/secrets/a").status, 200)

    def test_delay(self):
        dv = self.with_faults("delay=300ms:op=get")
        dv.token()
        begin = time.monotonic()
        self.refused(dv.call("GET", "/secrets/a"), 404, "SecretNotFound")
        self.assertGreaterEqual(time.monotonic() - begin, 0.3)

    def test_client_that_does_not_wait(self):
        dv = self.with_faults(
            "delay=400ms:op=get",
            "truncate:op=list-deleted",
            "delay=200ms:op=list-deleted",
        )
        token = {"Authorization": "Bearer " + dv.token()}
        for path in ("/secrets/a", "/deletedsecrets"):
            with self.assertRaises(TimeoutError):
                dv.raw("GET", path + "?api-version=7.5", headers=token, timeout=0.1)
        self.assertTrue(wait_until(lambda: len(dv.stats()) >= 4))
        time.sleep(0.5)
        self.assertEqual(dv.call("GET", "/secrets").status, 200)

    def test_end_while_an_answer_waits(self):
        dv = self.with_faults("delay=60s:op=get")
        token = {"Authorization": "Bearer " + dv.token()}
        for _ in range(3):
            with self.assertRaises(TimeoutError):
                dv.raw("GET", "/secrets/a?api-version=7.5", headers=token, timeout=0.3)
        self.assertEqual(dv.end(), 0)

    def test_chunked(self):
        dv = self.with_faults("chunked")
        dv.set("a", "value")
        a = dv.call("GET", "/secrets/a")
        self.assertEqual(
            (a.json["value"], a.headers["Transfer-Encoding"]), ("value", "chunked")
        )


class Bodies(Case):
    def test_html(self):
        dv = self.with_faults("html=502:first=1", "html=403:first=1")
        a = dv.call("GET", "/secrets")
        self.assertEqual((a.status, a.headers["Content-Type"]), (502, "text/html"))
        self.assertIn(b"<html>", a.body)
        self.assertEqual(dv.call("GET", "/secrets").status, 403)

    def test_redirect(self):
        dv = self.with_faults("redirect:first=1", "redirect=https://evil.example/x")
        a = dv.call("GET", "/secrets")
        self.assertEqual(
            (a.status, a.headers["Location"]), (302, "https://elsewhere.invalid/")
        )
        self.assertEqual(
            dv.call("GET", "/secrets").headers["Location"], "https://evil.example/x"
        )

    def test_garbage_big_deep(self):
        dv = self.with_faults("garbage:first=1", "big:first=1", "deep:first=1")
        a = dv.call("GET", "/secrets")
        self.assertEqual(a.status, 200)
        with self.assertRaises(ValueError):
            json.loads(a.body)
        self.assertGreater(len(dv.call("GET", "/secrets").body), 10 * 1024 * 1024)
        self.assertIn(b"[" * 10000, dv.call("GET", "/secrets").body)
        self.assertEqual(dv.call("GET", "/secrets").json["value"], [])

    def test_only_on_success(self):
        dv = self.with_faults("garbage")
        self.refused(dv.call("GET", "/secrets", token=False), 401, "Unauthorized")
        self.refused(dv.call("GET", "/secrets/a"), 404, "SecretNotFound")

    def test_ints_as_strings(self):
        dv = self.with_faults("ints-as-strings")
        self.assertIsInstance(dv.set("a")["attributes"]["created"], str)


class Pages(Case):
    def test_empty_first_page(self):
        dv = self.with_faults("empty-page")
        dv.set("a")
        a = dv.call("GET", "/secrets").json
        self.assertEqual(a["value"], [])
        b = dv.follow(a["nextLink"]).json
        self.assertEqual((len(b["value"]), b["nextLink"]), (1, None))

    def test_bad_next_link(self):
        dv = self.start(
            "--page-size", "1", "--fault", "bad-next-link=https://evil.example:1/x"
        )
        dv.set("a")
        dv.set("b")
        self.assertEqual(
            dv.call("GET", "/secrets").json["nextLink"], "https://evil.example:1/x"
        )

    def test_ends_of_lists(self):
        self.assertNotIn(
            "nextLink",
            self.with_faults("next-link=missing").call("GET", "/secrets").json,
        )
        self.assertEqual(
            self.with_faults("next-link=empty")
            .call("GET", "/secrets")
            .json["nextLink"],
            "",
        )


class Permissions(Case):
    def test_forbid(self):
        for word, inner in (
            ("rbac", "ForbiddenByRbac"),
            ("policy", "ForbiddenByPolicy"),
            ("firewall", "ForbiddenByFirewall"),
            ("accessdenied", "AccessDenied"),
            ("connection", "ForbiddenByConnection"),
        ):
            dv = self.with_faults("forbid=%s:team-*" % word)
            self.refused(dv.call("GET", "/secrets/TEAM-a"), 403, "Forbidden", inner)
            self.refused(dv.call("GET", "/secrets/other"), 404, "SecretNotFound")
            self.refused(
                dv.call("GET", "/secrets/team-a", token=False), 401, "Unauthorized"
            )

    def test_forbid_everything(self):
        dv = self.with_faults("forbid=rbac")
        self.refused(dv.call("GET", "/secrets"), 403, "Forbidden", "ForbiddenByRbac")

    def test_disabled(self):
        dv = self.with_faults("disabled=off-*")
        dv.set("off-1")
        dv.set("on")
        self.refused(
            dv.call("GET", "/secrets/off-1"), 403, "Forbidden", "SecretDisabled"
        )
        self.assertEqual(dv.call("GET", "/secrets/on").status, 200)
        flags = [
            i["attributes"]["enabled"] for i in dv.call("GET", "/secrets").json["value"]
        ]
        self.assertEqual(flags, [False, True])

    def test_limbo_by_default(self):
        dv = DevVault()
        self.addCleanup(dv.stop)
        dv.set("a")
        dv.call("DELETE", "/secrets/a")
        self.refused(dv.call("GET", "/deletedsecrets/a"), 404, "SecretNotFound")
        self.assertTrue(
            wait_until(lambda: dv.call("GET", "/deletedsecrets/a").status == 200)
        )

    def test_limbo(self):
        dv = self.with_faults("limbo=400ms")
        dv.set("a")
        dv.call("DELETE", "/secrets/a")
        self.refused(dv.call("GET", "/deletedsecrets/a"), 404, "SecretNotFound")
        self.refused(
            dv.call("PUT", "/secrets/a", {"value": "v"}),
            409,
            "Conflict",
            "ObjectIsBeingDeleted",
        )
        self.refused(
            dv.call("DELETE", "/deletedsecrets/a"),
            409,
            "Conflict",
            "ObjectIsBeingDeleted",
        )
        self.assertTrue(
            wait_until(lambda: dv.call("GET", "/deletedsecrets/a").status == 200)
        )
        self.assertEqual(dv.call("POST", "/deletedsecrets/a/recover").status, 200)
        self.refused(dv.call("GET", "/secrets/a"), 404, "SecretNotFound")
        self.refused(
            dv.call("PUT", "/secrets/a", {"value": "v"}),
            409,
            "Conflict",
            "ObjectIsBeingRecovered",
        )
        self.assertTrue(wait_until(lambda: dv.call("GET", "/secrets/a").status == 200))


if __name__ == "__main__":
    unittest.main()
