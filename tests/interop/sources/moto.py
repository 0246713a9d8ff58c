"""moto.py - the shipped source for AWS Secrets Manager against moto's server, and its
signature against the AWS SDK's.

    moto.py PROGRAM"""

import http.server
import json
import os
import sys
import tempfile
import threading

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.remove(HERE)  # the package is called as this file is
sys.path.append(os.path.join(HERE, "..", "..", "integration"))
sys.path.append(HERE)
import common  # noqa: E402
import recorded  # noqa: E402

PART = "moto"
REGION, KEY_ID, KEY = "eu-central-1", "AKIDEXAMPLE", "sk/+="
POLICY = """
local ml = require "moonlatch.policy"
local aws = require "moonlatch.source.aws"
local sm = aws { region = "eu-central-1", url = ml.env "URL", access_key_id = "AKIDEXAMPLE",
                 secret_access_key = ml.env_secret "KEY", ca_file = ml.env "CA",
                 session_token = ml.env_secret "SESSION" }
return ml.policy {
  ml.rule "before/**" { map = function(req) return sm:key("prod/db", "AWSPREVIOUS") end },
  ml.rule "**" { from = sm },
}
"""


def fill(url, ca):
    c = boto3.client("secretsmanager", region_name=REGION, endpoint_url=url, verify=ca,
                     aws_access_key_id=KEY_ID, aws_secret_access_key=KEY)
    c.create_secret(Name="prod/db", SecretString="old")
    c.put_secret_value(SecretId="prod/db", SecretString="hunter2 \u20ac")
    c.create_secret(Name="bin", SecretBinary=b"\0\xff\n")
    c.create_secret(Name="gone", SecretString="x")
    c.delete_secret(SecretId="gone")
    for i in range(120):
        c.create_secret(Name=f"many/{i:03}", SecretString="x")


def checks(client):
    def check(claim, name, want):
        common.check(PART, claim, client.get(name), want)
    check("text", "prod/db", (0, "hunter2 \u20ac".encode()))
    check("bytes", "bin", (0, b"\0\xff\n"))
    check("a version by its label", "before/x", (0, b"old"))
    check("what is not there is missing", "nothing", (3, b""))
    check("what is marked for deletion is disabled", "gone", (4, b""))
    r = client.run("list", "many/*")
    common.check(PART, "list, page by page", (r.returncode, len(r.stdout.split()), r.stderr),
                 (0, 120))


class Recorder(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen = dict(self.headers), body
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"SecretString": "x"}).encode())

    def log_message(self, *args):
        pass


def signature_check(home, ca):
    """What we sent, signed by the SDK at the same time, has the same signature."""
    with http.server.HTTPServer((common.HOST, 0), Recorder) as server:
        threading.Thread(target=server.handle_request).start()
        url = f"http://{common.HOST}:{server.server_address[1]}"
        client = common.Client(home, POLICY, URL=url, CA=ca, KEY=KEY, SESSION="session/token")
        got = client.get("prod/db")
        headers, body = server.seen
    sent = {k.lower(): v for k, v in headers.items()}
    signed = sent["authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
    request = AWSRequest(method="POST", url=url + "/", data=body, headers={
        k: v for k, v in sent.items() if k in signed and k not in ("host", "x-amz-security-token")})
    auth = SigV4Auth(Credentials(KEY_ID, KEY, "session/token"), "secretsmanager", REGION)
    request.context["timestamp"] = sent["x-amz-date"]
    auth._modify_request_before_signing(request)
    del request.headers["X-Amz-Date"]
    request.headers["X-Amz-Date"] = sent["x-amz-date"]
    canonical = auth.canonical_request(request)
    signature = auth.signature(auth.string_to_sign(request, canonical), request)
    common.check(PART, "the SDK's signature", (sent["authorization"].split("Signature=")[1], got),
                 (signature,))


def main():
    port = common.free_port()
    with tempfile.TemporaryDirectory() as home:
        certificate, key = recorded.make_certificate(home)
        server = os.path.join(os.path.dirname(sys.executable), "moto_server")
        with common.Server([server, "-H", common.HOST, "-p", str(port), "-c", certificate,
                            "-k", key], port):
            url = f"https://{common.HOST}:{port}"
            fill(url, certificate)
            checks(common.Client(home, POLICY, URL=url, CA=certificate, KEY=KEY, SESSION="s"))
        signature_check(home, certificate)
    common.end()


main()
