"""Certificates that are made anew (Identity.Renew): by a stock client, by psctl, by workers; and what is refused."""
import json
import pathlib
import re
import subprocess

import grpc

from harness import PSD, SLOW, Cluster, run, stubs, wait_until
from pki import openssl, request

RENEW = "/psd.v1.Identity/Renew"


def identity(signer, leaf="1h"):
    return f"identity: {{renew: true, leaf: {leaf}, signer: '{signer}'}}\n"


def by_file(cluster, **options):
    return identity(f"file:{cluster.certs}/ca.key", **options)


def renew(channel, der):
    pb, services = stubs()["identity"]
    return services.IdentityStub(channel).Renew(pb.RenewRequest(request=der), timeout=30 * SLOW)


def refused(channel, der):
    try:
        renew(channel, der)
    except grpc.RpcError as error:
        return error.code(), error.details()
    raise AssertionError("it was renewed")


def audit(cluster, **fields):
    lines = [json.loads(line) for line in (cluster.dir / "audit.log").read_text().splitlines()]
    return [line for line in lines if line.get("call") == RENEW and all(line.get(k) == v for k, v in fields.items())]


def text_of(path):
    return subprocess.run(["openssl", "x509", "-in", str(path), "-noout", "-text"], check=True, capture_output=True,
                          text=True).stdout


def a_stock_client_renews_a_hundred_times_and_no_more():
    with Cluster() as cluster:
        cluster.start_server(by_file(cluster))
        der = request(cluster.certs, "eve", "URI:spiffe://test/observer/eve")
        with cluster.channel("eve") as channel:
            chains = [renew(channel, der).chain for _ in range(100)]
            code, details = refused(channel, der)
            assert code == grpc.StatusCode.RESOURCE_EXHAUSTED, details
            assert re.fullmatch(r"100 certificates for spiffe://test/observer/eve within the life of one; try again in \d+ s",
                                details), details
        assert len(set(chains)) == 100
        with cluster.channel("alice") as channel:  # what one has used up is not another's
            renew(channel, request(cluster.certs, "alice", "URI:spiffe://test/submitter/alice"))
        lines = audit(cluster, identity="spiffe://test/observer/eve")
        assert [line["outcome"] for line in lines] == 100 * ["allowed"] + ["failed"]
        new, old = cluster.certs / "new.pem", cluster.certs / "eve.pem"
        new.write_text(chains[-1])
        openssl("verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", cluster.certs / "ca.pem", new)
        serial = subprocess.run(["openssl", "x509", "-in", str(new), "-noout", "-serial"], check=True, capture_output=True,
                                text=True).stdout.strip().removeprefix("serial=").lower()
        assert f"serial {serial}, until " in lines[99]["reason"], lines[99]
        for part in ("Subject:", "Issuer:", "URI:", "TLS Web Client", "CA:FALSE", "Digital Signature"):
            says = [re.findall(f".*{part}.*", text_of(path)) for path in (new, old)]
            assert says[0] == says[1] and len(says[0]) == 1, says
        # and it lets its holder in
        (cluster.certs / "eve.pem").write_text(chains[-1])
        (cluster.certs / "eve-new.key").rename(cluster.certs / "eve.key")
        cluster.psctl("jobs", who="eve")


def what_is_asked_for_is_the_callers_own_or_nothing():
    me = "URI:spiffe://test/observer/eve"
    denied, invalid = grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.INVALID_ARGUMENT
    with Cluster() as cluster:
        cluster.start_server(by_file(cluster))

        def made(uri=me, **options):
            return request(cluster.certs, "eve", uri, **options)

        good = made()
        issued = (cluster.certs / "ca.issued").read_text().count("observer/eve")
        broken = bytearray(good)
        broken[-1] ^= 1
        cases = [
            (made("URI:spiffe://test/observer/mallory"), denied,
             "is for spiffe://test/observer/mallory, and the caller is spiffe://test/observer/eve"),
            (made("URI:spiffe://test/admin/eve"), denied, "is for spiffe://test/admin/eve, and the caller is"),
            (made(None), denied, "it has no URI name"),
            (made(me + ",DNS:psd.example"), denied, "asks for names that spiffe://test/observer/eve's certificate does not"),
            (made(more=("-addext", "basicConstraints=critical,CA:TRUE")), denied, "asks for X509v3 Basic Constraints"),
            (made(subject="/CN=root"), denied, "has the common name 'root'"),
            (made(key=("RSA", "-pkeyopt", "rsa_keygen_bits:1024")), invalid, "its key is weak (RSA 1024)"),
            (made(key=("RSA", "-pkeyopt", "rsa_keygen_bits:2048")), denied, "its key is RSA 2048, that of the caller's"),
            (bytes(broken), invalid, "it is not signed by its own key"),
            (good[:100], invalid, "is none in DER"), (b"", invalid, "is none in DER"), (good + b"x", invalid, "1 bytes follow"),
            (good * (1 << 12), invalid, "bytes, at most 16384"),
        ]
        with cluster.channel("eve") as channel:
            for der, code, words in cases:
                got, details = refused(channel, der)
                assert got == code and words in details, (got, details, words)
                assert audit(cluster, identity="spiffe://test/observer/eve")[-1]["reason"] == details
            renew(channel, good)
        assert (cluster.certs / "ca.issued").read_text().count("observer/eve") == issued + 1, "the good one"


def psctl_renews_its_own_and_who_is_revoked_gets_nothing():
    with Cluster() as cluster:
        crl = cluster.dir / "ca.crl"

        def publish():
            subprocess.run(["cp", str(cluster.certs / "ca.crl"), f"{crl}.new"], check=True)
            pathlib.Path(f"{crl}.new").rename(crl)

        # of this cluster alone: what the others of the file have is a list of another folder
        cluster.cert("create-ca", "--cluster", "test", "--force")
        cluster.cert("create-server", "--name", "psd", "--host", "localhost", "--force")
        cluster.cert("create-client", "--role", "observer", "--name", "eve", "--force")
        cluster.cert("crl")
        publish()
        cluster.start_server(by_file(cluster), tls=f", crl: {crl}")
        names = sorted(path.name for path in cluster.certs.iterdir())
        pair = [(cluster.certs / f"eve.{end}").read_bytes() for end in ("pem", "key")]
        for _ in range(3):
            said = cluster.psctl_json("cert", "renew", who="eve")
            assert said["identity"] == "spiffe://test/observer/eve" and said["certificate"].endswith("/eve.pem"), said
            now = [(cluster.certs / f"eve.{end}").read_bytes() for end in ("pem", "key")]
            assert now[0] != pair[0] and now[1] != pair[1]
            assert subprocess.run(["openssl", "x509", "-in", said["certificate"], "-noout", "-checkend", "3900"],
                                  capture_output=True, check=False).returncode == 1, "for an hour"
            pair = now
            cluster.psctl("jobs", who="eve")
        assert names == sorted(path.name for path in cluster.certs.iterdir()), "nothing is left over"
        cluster.cert("revoke", "observer/eve")  # by name: the renewed ones are in the CA's list, too
        publish()
        # at once by the list beside the CA, then by psd's own copy; or she is cut while she asks
        wait_until("she is refused", lambda: "revoked" in cluster.psctl("cert", "renew", who="eve", check=False).stderr, 20)
        assert [(cluster.certs / f"eve.{end}").read_bytes() for end in ("pem", "key")] == pair


def a_psd_that_does_not_renew_says_so():
    with Cluster() as cluster:
        cluster.start_server()
        done = cluster.psctl("cert", "renew", check=False)
        assert done.returncode and "psd renews no certificates (identity.renew in psd.yaml)" in done.stderr, done.stderr
        assert not (cluster.certs / "alice.key.next").exists()
        config = cluster.dir / "bad.yaml"
        base = (cluster.dir / "psd.yaml").read_text()
        for more, words in (("identity: {renew: true}", "identity.signer: is needed with identity.renew"),
                            ("identity: {signer: 'vault:x'}", "a signer is named as file:PATH or exec:PROGRAM"),
                            (identity(f"file:{cluster.certs}/psd.key"), "it is the key of no CA in tls.ca"),
                            (identity("exec:/nonexistent/hook"), "/nonexistent/hook: No such file")):
            config.write_text(base + more + "\n")
            done = subprocess.run([str(PSD), "--config", str(config), "--check"], capture_output=True, text=True, check=False)
            assert done.returncode and words in done.stderr + done.stdout, (more, done)


if __name__ == "__main__":
    run([a_stock_client_renews_a_hundred_times_and_no_more, what_is_asked_for_is_the_callers_own_or_nothing,
         psctl_renews_its_own_and_who_is_revoked_gets_nothing, a_psd_that_does_not_renew_says_so])
