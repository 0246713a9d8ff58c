"""Tokens: how they are given, how they are checked, and how both refuse."""

import base64
import json
import time
import unittest
import urllib.request

from harness import Case


def claims_of(token):
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def forge(**changes):
    def enc(o):
        return base64.urlsafe_b64encode(json.dumps(o).encode()).rstrip(b"=").decode()

    claims = {"aud": "https://vault.azure.net", "exp": int(time.time()) + 600}
    claims.update(changes)
    return enc({"alg": "HS256"}) + "." + enc(claims) + "." + enc("x" * 24)


class Entra(Case):
    def refusal(self, answer, status, word, number):
        self.assertEqual(answer.status, status, answer.body)
        j = answer.json
        self.assertEqual((j["error"], j["error_codes"]), (word, [number]))
        self.assertTrue(j["error_description"].startswith("AADSTS%d: " % number))
        for field in ("timestamp", "trace_id", "correlation_id", "error_uri"):
            self.assertIn(field, j)

    def test_good_tokens(self):
        dv = self.start("--client-secret", "s~+&%/= '\"é")
        before = int(time.time())
        j = dv.ask_token().json
        self.assertEqual((j["token_type"], j["expires_in"]), ("Bearer", 3599))
        c = claims_of(j["access_token"])
        self.assertEqual(c["aud"], "https://vault.azure.net")
        self.assertEqual(c["tid"], dv.ready["tenant_id"])
        self.assertEqual(
            c["iss"], "https://sts.windows.net/%s/" % dv.ready["tenant_id"]
        )
        self.assertEqual(c["appid"], dv.ready["client_id"])
        self.assertEqual(c["exp"] - c["iat"], 3599)
        self.assertGreaterEqual(c["iat"], before)
        for scope in (
            "https://localhost/.default",
            "https://vault.azure.net/.default openid offline_access profile",
        ):
            a = dv.ask_token(scope=scope)
            self.assertEqual(a.status, 200, scope)
            self.assertEqual(
                dv.call("GET", "/secrets", token=a.json["access_token"]).status,
                200,
                scope,
            )
        a = dv.ask_token(
            "/oauth2/token", scope=None, resource="https://vault.azure.net"
        )
        self.assertEqual((a.status, a.json["expires_in"]), (200, "3599"))
        self.assertEqual(
            dv.call("GET", "/secrets", token=a.json["access_token"]).status, 200
        )

    def test_refusals(self):
        dv = self.start("--client-secret-expired", "old-one")
        r = self.refusal
        r(dv.ask_token(client_secret="wrong"), 401, "invalid_client", 7000215)
        r(dv.ask_token(client_secret="old-one"), 401, "invalid_client", 7000222)
        r(dv.ask_token(client_secret=None), 401, "invalid_client", 7000218)
        r(dv.ask_token(client_id="9" * 8), 400, "unauthorized_client", 700016)
        r(
            dv.ask_token(tenant="00000000-0000-0000-0000-000000000000"),
            400,
            "invalid_request",
            90002,
        )
        r(dv.ask_token(tenant="unknown.example"), 400, "invalid_request", 90002)
        r(dv.ask_token(tenant="no_tenant"), 400, "invalid_request", 900023)
        for name in ("grant_type", "client_id", "scope"):
            r(dv.ask_token(**{name: None}), 400, "invalid_request", 900144)
        r(dv.ask_token(grant_type="password"), 400, "unsupported_grant_type", 70003)
        for scope in (
            "https://vault.azure.net",
            "https://vault.azure.net//.default",
            "x",
            "https://vault.azure.net/.default https://localhost/.default",
        ):
            r(dv.ask_token(scope=scope), 400, "invalid_scope", 70011)
        for scope in (
            "https://vault.azure.cn/.default",
            "https://evil.example/.default",
            "http://localhost/.default",
        ):
            r(dv.ask_token(scope=scope), 400, "invalid_resource", 500011)
        a = dv.raw("GET", "/%s/oauth2/v2.0/token" % dv.ready["tenant_id"])
        self.assertEqual(a.status, 405)
        for path in ("/nothing/here", "/", "/secretsx", "/keys/a"):
            self.refused(dv.raw("GET", path), 404, "NotFound")
        text = dv.log_text()
        self.assertNotIn(dv.ready["client_secret"], text)
        self.assertNotIn("old-one", text)

    def test_injected_refusals(self):
        for fault, word, number in (
            (400, "invalid_request", 900144),
            (401, "invalid_client", 7000215),
            (403, "access_denied", 53003),
            (503, "temporarily_unavailable", 90055),
        ):
            dv = self.with_faults("token-%d" % fault)
            self.refusal(dv.ask_token(), fault, word, number)

    def test_metadata(self):
        dv = self.start()
        t, base = dv.ready["tenant_id"], "https://localhost:%d/" % dv.port
        a = dv.raw("GET", "/%s/v2.0/.well-known/openid-configuration" % t).json
        self.assertEqual(a["token_endpoint"], base + t + "/oauth2/v2.0/token")
        self.assertEqual(a["issuer"], base + t + "/v2.0")
        a = dv.raw(
            "GET",
            "/common/discovery/instance?api-version=1.1&authorization_endpoint=" "x",
        ).json
        self.assertEqual(
            a["tenant_discovery_endpoint"],
            base + t + "/v2.0/.well-known/openid-configuration",
        )
        self.assertEqual(
            dv.raw("GET", "/no_tenant/v2.0/.well-known/openid-configuration").status,
            400,
        )


class Challenge(Case):
    def test_without_token(self):
        dv = self.start("--vault", "named")
        t, p = dv.ready["tenant_id"], dv.port
        # Python's and Go's clients compare the port of a named vault as well.
        for host, authority, resource in (
            ("localhost", "localhost", "localhost"),
            ("named.localhost", "localhost", "localhost:%d" % p),
            ("127.0.0.1", "127.0.0.1", "127.0.0.1"),
        ):
            a = dv.call("PUT", "/secrets/a", "", token=False, host=host)
            self.refused(a, 401, "Unauthorized")
            self.assertIn("AKV10000", a.error["message"])
            self.assertEqual(
                a.headers["WWW-Authenticate"],
                'Bearer authorization="https://%s:%d/%s", resource="https://%s"'
                % (authority, p, t, resource),
            )
            self.audience_works(dv, host, "https://" + resource)

    def audience_works(self, dv, host, resource):
        token = dv.ask_token(scope=resource + "/.default").json["access_token"]
        a = dv.call("GET", "/secrets", token=token, host=host)
        self.assertEqual(a.status, 200, a.body)

    def test_challenge_as_scope(self):
        dv = self.with_faults("challenge=scope")
        a = dv.call("GET", "/secrets/a", token=False)
        self.assertIn(
            'scope="https://localhost/.default"', a.headers["WWW-Authenticate"]
        )
        self.assertNotIn("resource=", a.headers["WWW-Authenticate"])

    def bad_token(self, dv, token, text):
        a = dv.call("GET", "/secrets/a", token=token)
        self.refused(a, 401, "Unauthorized")
        self.assertIn(text, a.error["message"])
        self.assertIn("Bearer authorization=", a.headers["WWW-Authenticate"])

    def test_bad_tokens(self):
        dv = self.start()
        issuer = "https://sts.windows.net/%s/" % dv.ready["tenant_id"]
        graph = dv.ask_token(scope="https://graph.microsoft.com/.default").json[
            "access_token"
        ]
        self.bad_token(dv, graph, "AKV10022")
        for scope in ("https://127.0.0.1", "https://localhost:%d" % dv.port):
            other = dv.ask_token(scope=scope + "/.default").json["access_token"]
            self.bad_token(
                dv, other, "AKV10022: Invalid audience. Expected https://localhost, "
            )
        slash = dv.ask_token(
            "/oauth2/token", scope=None, resource="https://vault.azure.net/"
        )
        self.bad_token(dv, slash.json["access_token"], "AKV10022")
        self.bad_token(dv, forge(iss="https://sts.windows.net/other/"), "AKV10032")
        self.bad_token(dv, forge(iss=issuer), "AKV10046")
        good = dv.token()
        self.bad_token(dv, good[:-6] + "AAAAAA", "AKV10046")
        for junk in ("x", "a.b.c", "..", good.replace(".", "", 1)):
            self.bad_token(dv, junk, "")
        a = dv.raw(
            "GET", "/secrets/a?api-version=7.5", headers={"Authorization": "Basic eDp5"}
        )
        self.assertIn("AKV10000", a.error["message"])

    def test_token_of_another_tenant(self):
        dv = self.with_faults("token-tenant=contoso.example")
        self.bad_token(dv, dv.token(), "AKV10032")

    def test_expired_token(self):
        dv = self.with_faults("token-lifetime=0")
        self.bad_token(dv, dv.token(), "expired")

    def test_refused_once(self):
        dv = self.with_faults("http-401-once")
        self.assertEqual(
            [dv.call("GET", "/secrets").status for _ in range(3)], [401, 200, 200]
        )

    def test_claims(self):
        dv = self.with_faults("claims-challenge")
        a = dv.call("GET", "/secrets")
        self.assertEqual(a.status, 401)
        h = a.headers["WWW-Authenticate"]
        self.assertIn('error="insufficient_claims"', h)
        b64 = h.split('claims="')[1].split('"')[0]
        claims = base64.urlsafe_b64decode(b64 + "=" * (-len(b64) % 4)).decode()
        self.assertIn("access_token", json.loads(claims))
        better = dv.ask_token(claims=claims).json["access_token"]
        self.assertEqual(dv.call("GET", "/secrets", token=better).status, 200)


class ManagedIdentity(Case):
    IMDS = "/metadata/identity/oauth2/token?api-version=2018-02-01"
    R = "&resource=https%3A%2F%2Fvault.azure.net"

    def test_imds(self):
        dv = self.start()
        good = {"Metadata": "true"}
        a = dv.raw("GET", self.IMDS + self.R, headers=good)
        self.assertEqual(a.status, 200, a.body)
        self.assertEqual(
            (a.json["expires_in"], a.json["token_type"]), ("3599", "Bearer")
        )
        self.assertIsInstance(a.json["expires_on"], str)
        self.assertEqual(
            dv.call("GET", "/secrets", token=a.json["access_token"]).status, 200
        )
        mine = "&client_id=" + dv.ready["client_id"]
        self.assertEqual(
            dv.raw("GET", self.IMDS + self.R + mine, headers=good).status, 200
        )
        for path, headers in (
            (self.IMDS + self.R, {}),
            (self.IMDS + self.R, dict(good, **{"X-Forwarded-For": "1.2.3.4"})),
            (self.IMDS, good),
            (self.IMDS + self.R + "&client_id=x", good),
            ("/metadata/identity/oauth2/token?" + self.R[1:], good),
        ):
            a = dv.raw("GET", path, headers=headers)
            self.assertEqual(a.status, 400, path)
            self.assertIn("error_description", a.json)

    def test_app_service_and_plain_http(self):
        dv = self.start("--imds-listen", "127.0.0.1:0", "--identity-header", "word")
        base = dv.ready["imds_endpoint"]
        self.assertEqual(dv.ready["identity_header"], "word")

        def get(path, **headers):
            q = urllib.request.Request(base + path, headers=headers)
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            try:
                with opener.open(q, timeout=10) as r:
                    return r.status, json.load(r)
            except urllib.error.HTTPError as e:
                with e:
                    return e.code, json.load(e)

        path = "/msi/token?api-version=2019-08-01" + self.R
        status, j = get(path, **{"X-IDENTITY-HEADER": "word"})
        self.assertEqual(status, 200)
        self.assertIsInstance(j["expires_on"], str)
        self.assertNotIn("expires_in", j)
        self.assertEqual(
            dv.call("GET", "/secrets", token=j["access_token"]).status, 200
        )
        self.assertEqual(get(path)[0], 401)
        self.assertEqual(get(path, **{"X-IDENTITY-HEADER": "worm"})[0], 401)
        self.assertEqual(get(self.IMDS + self.R, Metadata="true")[0], 200)
        self.assertEqual(get("/secrets?api-version=7.5")[0], 404)


if __name__ == "__main__":
    unittest.main()
