"""Writes the vectors of one format as seed inputs for its fuzz target: seeds.py TARGET DIRECTORY."""
import base64
import json
import pathlib
import sys

target, directory = sys.argv[1], pathlib.Path(sys.argv[2])
vectors = pathlib.Path(__file__).parent.parent / "Vectors"
fields = {
    "envelope": [("envelope.json", "envelope")],
    "wrapped-key": [("wrapped-key.json", "wrapped")],
    "entry": [("entry.json", "entry")],
    "keyring": [("keyring.json", "file")],
}
seeds = []
for name, field in fields.get(target, []):
    seeds += [bytes.fromhex(v[field]) for v in json.loads((vectors / name).read_text())["vectors"]]
if target == "envelope":
    seeds += [v["text"].encode() for v in json.loads((vectors / "text.json").read_text())["vectors"]]
if target == "configuration":
    deploy = pathlib.Path(__file__).parent.parent.parent / "deploy"
    seeds += [file.read_bytes() for file in sorted(deploy.glob("*.yaml"))]
if target == "proof":
    seeds += [bytes.fromhex(v["note"]) for v in json.loads((vectors / "heads.json").read_text())["heads"]]
    seeds += [bytes.fromhex(v["file"]) for v in json.loads((vectors / "proofs.json").read_text())["files"]]
    seeds += [v["text"].encode() for v in json.loads((vectors / "heads.json").read_text())["keys"]]
if target == "http":
    for path in ("encrypt/pay", "decrypt/pay", "rewrap/pay", "datakey/plaintext/pay", "keys/pay", "keys/pay/config", "random/platform/9"):
        for body in ('{"plaintext":"Zm9v\\/+8=","context":"eA==","encryption_context":{"a":"\\u00e9\\ud834\\udd1e"}}',
                     '{"batch_input":[{"ciphertext":"vault:v1:Q0gB","reference":"\\n"},{"ciphertext":"x","associated_data":""}]}',
                     '{"type":"aes256-gcm96","derived":false,"auto_rotate_period":"0s","bits":256,"bytes":"16","format":"hex"}',
                     '3\r\n{  \r\n00A\r\n"bytes":16\r\n1\r\n}\r\n0\r\n\r\n'):
            seeds.append(b"\0/v1/acme/" + path.encode() + b"\n" + body.encode())
    seeds += [b"\1/v1/sys/health\n", b"\2/v1/acme/keys\n"]
if target == "token":
    def text(value):
        return base64.urlsafe_b64encode(value.encode()).rstrip(b"=")
    claims = '{"iss":"i","aud":["a"],"sub":"s","t":["acme"],"iat":1700000000,"nbf":1700000000.5,"exp":1700000600,"o":{"x":[1e3]}}'
    for head in ('{"alg":"EdDSA","kid":"d","typ":"JWT"}', '{"alg":"none"}', '{"alg":"HS256"}', '{"alg":"EdDSA","\\u006bid":"d"}'):
        seeds.append(text(head) + b"." + text(claims) + b"." + text("s" * 64))
    seeds += [b"cht_" + b"A" * 43, b'{"keys":[{"kty":"OKP","kid":"d","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}']
if target == "frame":
    log = vectors / "logs" / "valid-three-segments"
    seeds += [b"\2" + (log / "epoch-000001").read_bytes()]
    for segment in sorted(log.glob("*.seg")):
        content = segment.read_bytes()
        seeds.append(b"\1" + content[:4096])
        at = content.find(b"CHF1")
        while at >= 0:
            seeds.append(b"\0" + content[at:at + 4096])
            at = content.find(b"CHF1", at + 1)
for number, seed in enumerate(s for s in seeds if len(s) <= 8192):
    (directory / f"seed-{number:04}").write_bytes(seed)
