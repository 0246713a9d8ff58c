"""The secrets API: every operation, its answers, its refusals."""

import re
import unittest
import urllib.parse

from harness import Case


class OneVault(Case):
    """These share one dev vault per test class run; names keep them apart."""

    @classmethod
    def setUpClass(cls):
        from harness import DevVault

        cls.dv = DevVault(
            "--vault", "first", "--vault", "second", "--fault", "limbo=0"
        )

    @classmethod
    def tearDownClass(cls):
        text = cls.dv.log_text()
        assert cls.dv.stop() == 0, text


class SetAndGet(OneVault):
    def test_set_answers_the_bundle(self):
        b = self.dv.set("set-a", "s3cret", contentType="text/plain", tags={"env": "t"})
        self.assertRegex(
            b["id"], r"^https://localhost:%d/secrets/set-a/[0-9a-f]{32}$" % self.dv.port
        )
        self.assertEqual(b["value"], "s3cret")
        self.assertEqual(b["contentType"], "text/plain")
        self.assertEqual(b["tags"], {"env": "t"})
        at = b["attributes"]
        self.assertIs(at["enabled"], True)
        self.assertEqual(at["recoveryLevel"], "Recoverable+Purgeable")
        self.assertEqual(at["recoverableDays"], 90)
        self.assertIsInstance(at["created"], int)
        self.assertNotIn("nbf", at)

    def test_get_newest_with_and_without_trailing_slash(self):
        b = self.dv.set("get-a", "1")
        for path in ("/secrets/get-a", "/secrets/get-a/"):
            a = self.dv.call("GET", path)
            self.assertEqual((a.status, a.json), (200, b))

    def test_versions(self):
        old = self.dv.set("ver-a", "old")["id"].rsplit("/", 1)[1]
        new = self.dv.set("ver-a", "new")["id"].rsplit("/", 1)[1]
        self.assertEqual(self.dv.call("GET", "/secrets/ver-a").json["value"], "new")
        self.assertEqual(
            self.dv.call("GET", "/secrets/ver-a/" + old).json["value"], "old"
        )
        self.assertEqual(
            self.dv.call("GET", "/secrets/ver-a/" + old.upper()).json["value"], "old"
        )
        self.refused(
            self.dv.call("GET", "/secrets/ver-a/" + "0" * 32), 404, "SecretNotFound"
        )
        self.refused(self.dv.call("GET", "/secrets/ver-a/xyz"), 400, "BadParameter")
        a = self.dv.call("GET", "/secrets/ver-a", api="2025-07-01").json
        self.assertEqual(a["previousVersion"], old)
        self.assertNotEqual(old, new)
        self.assertNotIn("previousVersion", self.dv.call("GET", "/secrets/ver-a").json)

    def test_names_keep_their_case_and_ignore_it(self):
        self.dv.set("CaSe", "1")
        a = self.dv.call("GET", "/secrets/cAsE").json
        self.assertIn("/secrets/CaSe/", a["id"])
        self.dv.set("case", "2")
        self.assertEqual(self.dv.call("GET", "/Secrets/CaSe").json["value"], "2")
        ids = [
            i["id"] for i in self.dv.call("GET", "/secrets/CASE/versions").json["value"]
        ]
        self.assertEqual(len(ids), 2)

    def test_values_come_back_byte_for_byte(self):
        for i, v in enumerate(
            [
                "",
                "a\nb\r\n",
                "nul \0 inside",
                "ünïcödé 🎉 \u2028",
                '"\\/\b\f',
                "x" * 25600,
            ]
        ):
            self.dv.set("bytes-%d" % i, v)
            self.assertEqual(
                self.dv.call("GET", "/secrets/bytes-%d" % i).json["value"], v
            )

    def test_dates_are_informational(self):
        self.dv.set("dates", "v", attributes={"nbf": 32503680000, "exp": 1})
        a = self.dv.call("GET", "/secrets/dates")
        self.assertEqual(a.status, 200)
        self.assertEqual(
            (a.json["attributes"]["nbf"], a.json["attributes"]["exp"]), (32503680000, 1)
        )

    def test_disabled(self):
        self.dv.set("off", "v", attributes={"enabled": False})
        self.refused(
            self.dv.call("GET", "/secrets/off"), 403, "Forbidden", "SecretDisabled"
        )
        listed = [i for i in self.dv.call("GET", "/secrets/off/versions").json["value"]]
        self.assertIs(listed[0]["attributes"]["enabled"], False)
        a = self.dv.call("PATCH", "/secrets/off/", {"attributes": {"enabled": True}})
        self.assertEqual(a.status, 200)
        self.assertEqual(self.dv.call("GET", "/secrets/off").json["value"], "v")

    def test_missing(self):
        a = self.dv.call("GET", "/secrets/not-there")
        self.refused(a, 404, "SecretNotFound")
        self.assertIn("not-there", a.error["message"])

    def test_out_content_type(self):
        self.dv.set("plain", "v")
        a = self.dv.call(
            "GET",
            "/secrets/plain",
            api="2025-07-01",
            outContentType="application/x-pem-file",
        )
        self.refused(a, 400, "BadParameter")


class Limits(OneVault):
    def refuse_set(self, name, body):
        self.refused(self.dv.call("PUT", "/secrets/" + name, body), 400, "BadParameter")

    def test_names(self):
        self.dv.set("n" * 127)
        self.dv.set("-1")
        for bad in ("n" * 128, "a_b", "a.b", "a%2Fb", "%20", "a+b"):
            self.refuse_set(bad, {"value": "v"})

    def test_values(self):
        self.refuse_set("big", {"value": "x" * 25601})
        self.refuse_set("big", {"value": "ü" * 12801})
        self.refuse_set("big", {"value": "x" * 2000000})
        self.refuse_set("big", {"value": 7})
        self.refuse_set("big", {"value": None})
        self.refuse_set("big", {})
        self.refused(self.dv.call("GET", "/secrets/big"), 404, "SecretNotFound")

    def test_bodies(self):
        for bad in (
            "",
            "{",
            "[]",
            "null",
            '{"value":"v"} x',
            b'{"value":"\xff"}',
            '{"value":"v","tags":[]}',
            '{"value":"v","attributes":{"enabled":"yes"}}',
            '{"value":"v","attributes":{"exp":1.5}}',
            '{"value":"v","attributes":{"exp":"1"}}',
            "[" * 100000,
        ):
            self.refuse_set("bad-body", bad)
        a = self.dv.call(
            "PUT", "/secrets/unknown-field", '{"value":"v","more":{"a":[1]}}'
        )
        self.assertEqual(a.status, 200)

    def test_tags_and_content_type(self):
        self.dv.set("tags", tags={str(i): "ü" * 512 for i in range(15)})
        self.refuse_set("tags", {"value": "v", "tags": {str(i): "" for i in range(16)}})
        self.refuse_set("tags", {"value": "v", "tags": {"n" * 513: ""}})
        self.refuse_set("tags", {"value": "v", "tags": {"n": "v" * 513}})
        self.refuse_set("tags", {"value": "v", "tags": {"n": 1}})
        self.dv.set("tags", contentType="c" * 255)
        self.refuse_set("tags", {"value": "v", "contentType": "c" * 256})

    def test_api_version(self):
        for good in (
            "2016-10-01",
            "7.0",
            "7.4",
            "7.6-preview.2",
            "2025-07-01",
            "2026-04-01",
        ):
            self.assertEqual(self.dv.call("GET", "/secrets", api=good).status, 200)
        for bad in (None, "", "7.9", "1999-01-01"):
            self.refused(self.dv.call("GET", "/secrets", api=bad), 400, "BadParameter")

    def test_paths_and_methods(self):
        self.refused(self.dv.call("POST", "/secrets/a"), 405, "MethodNotAllowed")
        self.refused(self.dv.call("DELETE", "/secrets"), 405, "MethodNotAllowed")
        for path in ("/secrets/a", "/", "/_dev/stats"):
            a = self.dv.raw("OPTIONS", path)
            self.refused(a, 405, "MethodNotAllowed")
            self.assertIn("GET", a.headers["Allow"])
            a = self.dv.raw("HEAD", path)
            self.assertEqual((a.status, a.body), (405, b""))
            self.assertIn("json", a.headers["Content-Type"])
        self.refused(self.dv.call("GET", "/secrets/a/b/c"), 400, "BadParameter")
        self.refused(self.dv.call("GET", "/secrets/../x"), 400, "BadParameter")

    def test_strict_transport(self):
        a = self.dv.call("GET", "/secrets")
        self.assertIn("max-age=", a.headers["Strict-Transport-Security"])


class Update(OneVault):
    def test_absent_stays_and_tags_are_replaced(self):
        first = self.dv.set(
            "up",
            "v",
            contentType="a/b",
            tags={"x": "1", "y": "2"},
            attributes={"exp": 2000000000},
        )
        a = self.dv.call(
            "PATCH",
            "/secrets/up/" + first["id"].rsplit("/", 1)[1],
            {"tags": {"z": "3"}},
        )
        self.assertEqual(a.status, 200)
        self.assertNotIn("value", a.json)
        self.assertEqual(a.json["tags"], {"z": "3"})
        self.assertEqual(a.json["contentType"], "a/b")
        self.assertEqual(a.json["attributes"]["exp"], 2000000000)
        a = self.dv.call("PATCH", "/secrets/up", {"contentType": "c/d", "tags": {}})
        self.assertEqual((a.json["contentType"], a.json.get("tags", {})), ("c/d", {}))
        got = self.dv.call("GET", "/secrets/up").json
        self.assertEqual((got["value"], got["id"]), ("v", first["id"]))

    def test_only_the_version_named(self):
        old = self.dv.set("up-old", "1")["id"].rsplit("/", 1)[1]
        self.dv.set("up-old", "2")
        self.dv.call(
            "PATCH", "/secrets/up-old/" + old, {"attributes": {"enabled": False}}
        )
        self.assertEqual(self.dv.call("GET", "/secrets/up-old").json["value"], "2")
        self.refused(
            self.dv.call("GET", "/secrets/up-old/" + old),
            403,
            "Forbidden",
            "SecretDisabled",
        )

    def test_refusals(self):
        self.dv.set("up-bad")
        self.refused(self.dv.call("PATCH", "/secrets/nope", {}), 404, "SecretNotFound")
        self.refused(self.dv.call("PATCH", "/secrets/up-bad", "{"), 400, "BadParameter")


class Deleted(OneVault):
    def test_life_of_a_deleted_secret(self):
        self.dv.set("del", "v", tags={"a": "b"})
        a = self.dv.call("DELETE", "/secrets/del")
        self.assertEqual(a.status, 200)
        self.assertNotIn("value", a.json)
        self.assertEqual(
            a.json["recoveryId"],
            "https://localhost:%d/deletedsecrets/del" % self.dv.port,
        )
        self.assertEqual(
            a.json["scheduledPurgeDate"] - a.json["deletedDate"], 90 * 86400
        )
        self.assertEqual(self.dv.call("GET", "/deletedsecrets/del").json, a.json)
        self.refused(self.dv.call("GET", "/secrets/del"), 404, "SecretNotFound")
        self.refused(self.dv.call("DELETE", "/secrets/del"), 404, "SecretNotFound")
        self.refused(self.dv.call("PATCH", "/secrets/del", {}), 404, "SecretNotFound")
        self.refused(self.dv.call("POST", "/secrets/del/backup"), 404, "SecretNotFound")
        self.assertEqual(self.dv.call("GET", "/secrets/del/versions").json["value"], [])
        names = [i["id"] for i in self.dv.call("GET", "/secrets").json["value"]]
        self.assertFalse([n for n in names if n.endswith("/del")])
        self.refused(
            self.dv.call("PUT", "/secrets/DEL", {"value": "w"}),
            409,
            "Conflict",
            "ObjectIsDeletedButRecoverable",
        )
        r = self.dv.call("POST", "/deletedsecrets/del/recover")
        self.assertEqual((r.status, r.json["tags"]), (200, {"a": "b"}))
        self.assertEqual(self.dv.call("GET", "/secrets/del").json["value"], "v")
        self.refused(self.dv.call("GET", "/deletedsecrets/del"), 404, "SecretNotFound")

    def test_purge(self):
        self.dv.set("pur")
        self.refused(
            self.dv.call("DELETE", "/deletedsecrets/pur"), 404, "SecretNotFound"
        )
        self.dv.call("DELETE", "/secrets/pur")
        a = self.dv.call("DELETE", "/deletedsecrets/pur")
        self.assertEqual((a.status, a.body), (204, b""))
        self.refused(
            self.dv.call("POST", "/deletedsecrets/pur/recover"), 404, "SecretNotFound"
        )
        self.dv.set("pur", "again")
        self.assertEqual(
            len(self.dv.call("GET", "/secrets/pur/versions").json["value"]), 1
        )


class Backup(OneVault):
    def test_there_and_back(self):
        self.dv.set(
            "Bak",
            "1\n\0",
            tags={"t": "é"},
            contentType="x/y",
            attributes={"enabled": False, "nbf": 5},
        )
        self.dv.set("Bak", "2")
        before = self.dv.call("GET", "/secrets/bak/versions").json
        blob = self.dv.call("POST", "/secrets/bak/backup").json["value"]
        self.assertRegex(blob, r"^[0-9A-Za-z_-]+$")
        self.refused(
            self.dv.call("POST", "/secrets/restore", {"value": blob}), 409, "Conflict"
        )
        self.dv.call("DELETE", "/secrets/bak")
        self.refused(
            self.dv.call("POST", "/secrets/restore", {"value": blob}),
            409,
            "Conflict",
            "ObjectIsDeletedButRecoverable",
        )
        self.dv.call("DELETE", "/deletedsecrets/bak")
        a = self.dv.call("POST", "/secrets/restore", {"value": blob})
        self.assertEqual(a.status, 200, a.body)
        self.assertNotIn("value", a.json)
        self.assertIn("/secrets/Bak/", a.json["id"])
        self.assertEqual(self.dv.call("GET", "/secrets/bak/versions").json, before)
        self.assertEqual(self.dv.call("GET", "/secrets/bak").json["value"], "2")
        other = self.dv.call(
            "POST", "/secrets/restore", {"value": blob}, host="second.localhost"
        )
        self.assertEqual(other.status, 200)

    def test_damaged_blobs(self):
        self.dv.set("bad-bak")
        blob = self.dv.call("POST", "/secrets/bad-bak/backup").json["value"]
        flipped = "B" if blob[40] == "A" else "A"
        for bad in ("", "AAAA", "*", blob[:-8], blob[:40] + flipped + blob[41:]):
            self.refused(
                self.dv.call("POST", "/secrets/restore", {"value": bad}),
                400,
                "BadParameter",
            )
        self.refused(
            self.dv.call("POST", "/secrets/restore", "{}"), 400, "BadParameter"
        )

    def test_another_dev_vault_refuses_it(self):
        self.dv.set("mine")
        blob = self.dv.call("POST", "/secrets/mine/backup").json["value"]
        other = self.start()
        self.refused(
            other.call("POST", "/secrets/restore", {"value": blob}), 400, "BadParameter"
        )


class Lists(Case):
    def pages(self, dv, path, **query):
        a = dv.call("GET", path, **query)
        while True:
            self.assertEqual(a.status, 200, a.body)
            yield a.json["value"]
            link = a.json.get("nextLink")
            if not link:
                return
            u = urllib.parse.urlsplit(link)
            self.assertEqual((u.scheme, u.netloc), ("https", "localhost:%d" % dv.port))
            self.assertIn("$skiptoken=", link)
            self.assertIn("api-version=7.5", link)
            a = dv.follow(link)

    def test_paging(self):
        dv = self.start()
        for i in range(53):
            dv.set("p-%02d" % i, "v", tags={"i": str(i)})
        pages = list(self.pages(dv, "/secrets"))
        self.assertEqual([len(p) for p in pages], [25, 25, 3])
        items = sum(pages, [])
        self.assertEqual(
            [i["id"].rsplit("/", 1)[1] for i in items],
            ["p-%02d" % i for i in range(53)],
        )
        for i in items:
            self.assertNotIn("value", i)
            self.assertRegex(i["id"], r"/secrets/p-\d\d$")
            self.assertIn("tags", i)
        self.assertEqual(
            [len(p) for p in self.pages(dv, "/secrets", maxresults=20)], [20, 20, 13]
        )
        self.assertEqual(len(sum(self.pages(dv, "/secrets/", maxresults=1), [])), 53)
        for bad in (0, 26, -1, "x", ""):
            self.refused(
                dv.call("GET", "/secrets", maxresults=bad), 400, "BadParameter"
            )
        self.refused(
            dv.call("GET", "/secrets", **{"$skiptoken": "!"}), 400, "BadParameter"
        )
        for i in range(30):
            dv.call("DELETE", "/secrets/p-%02d" % i)
        gone = sum(self.pages(dv, "/deletedsecrets"), [])
        self.assertEqual(len(gone), 30)
        self.assertTrue(all("recoveryId" in i and "deletedDate" in i for i in gone))
        self.assertEqual(len(sum(self.pages(dv, "/secrets"), [])), 23)

    def test_versions(self):
        dv = self.start("--page-size", "3")
        made = [dv.set("v", str(i))["id"] for i in range(7)]
        pages = list(self.pages(dv, "/secrets/v/versions"))
        self.assertEqual([len(p) for p in pages], [3, 3, 1])
        self.assertEqual([i["id"] for i in sum(pages, [])], made)
        self.assertEqual(dv.call("GET", "/secrets/none/versions").json["value"], [])

    def test_empty(self):
        dv = self.start()
        self.assertEqual(
            dv.call("GET", "/secrets").json, {"value": [], "nextLink": None}
        )
        self.assertEqual(dv.call("GET", "/deletedsecrets").json["value"], [])


class Hosts(OneVault):
    def test_the_first_label_selects_the_vault(self):
        self.dv.set("where", "first")
        self.dv.call(
            "PUT", "/secrets/where", {"value": "second"}, host="second.localhost"
        )
        for host, value in (
            ("localhost", "first"),
            ("127.0.0.1", "first"),
            ("first.localhost", "first"),
            ("SECOND.localhost", "second"),
        ):
            a = self.dv.call("GET", "/secrets/where", host=host)
            self.assertEqual(a.json["value"], value, host)
            self.assertTrue(
                a.json["id"].lower().startswith("https://" + host.lower() + ":")
            )

    def test_unknown_vaults_are_not_an_absence(self):
        a = self.dv.raw(
            "GET",
            "/secrets/x?api-version=7.5",
            headers={
                "Host": "third.localhost",
                "Authorization": "Bearer " + self.dv.token(),
            },
        )
        self.refused(a, 421, "MisdirectedRequest")

    def test_bad_host(self):
        for host in ("a b", "x/y", "", "u@localhost"):
            a = self.dv.raw("GET", "/secrets?api-version=7.5", headers={"Host": host})
            self.assertEqual(a.status, 400, host)

    def test_headers(self):
        a = self.dv.raw(
            "GET", "/secrets/x", headers={"x-ms-client-request-id": "my-id"}
        )
        self.assertEqual(a.headers["x-ms-client-request-id"], "my-id")
        self.assertTrue(re.match("^[0-9a-f-]{36}$", a.headers["x-ms-request-id"]))
        self.assertEqual(a.headers["x-ms-keyvault-region"], "local")
        self.assertTrue(a.headers["x-ms-keyvault-service-version"])
        self.assertEqual(a.headers["Content-Type"], "application/json; charset=utf-8")


del OneVault  # only its children are tests

if __name__ == "__main__":
    unittest.main()
