"""Workers whose certificates live for seconds: they train, and no push is lost; a signer that fails for a while."""
import json
import os
import re
import time

from harness import BUILD, SLOW, Cluster, as_it_ships, run, wait_until
from pki import Pki
from test_renewal import by_file, identity

LEAF = int(10 * SLOW)  # seconds; a worker has to start within one

HOOK = """#!/bin/sh
# what a signer of one's own may be: the request on standard input, identity and seconds, a chain on standard output
cd {folder} || exit 1
test ! -e broken || exit 9
work=$(mktemp -d) && trap 'rm -rf $work' EXIT
cat >$work/csr && : >$work/index && echo $(od -An -N8 -tx1 /dev/urandom | tr -d ' ') >$work/serial
printf '[ca]\\ndefault_ca=c\\n[c]\\nnew_certs_dir=%s\\ndatabase=%s/index\\nserial=%s/serial\\ndefault_md=sha256\\npolicy=p\\n' \\
    $work $work $work >$work/cnf
printf '[p]\\ncommonName=supplied\\n[leaf]\\nkeyUsage=digitalSignature\\nextendedKeyUsage=clientAuth\\n' >>$work/cnf
printf 'subjectAltName=URI:%s\\n' "$PSD_IDENTITY" >>$work/cnf
openssl ca -batch -config $work/cnf -extensions leaf -cert certs/ca.pem -keyfile certs/ca.key -in $work/csr -notext \\
    -out $work/made -startdate $(date -u +%Y%m%d%H%M%SZ) -enddate $(date -u -d "+$2 sec" +%Y%m%d%H%M%SZ) >&2 && cat $work/made
"""


def renewals(cluster):
    lines = [json.loads(line) for line in (cluster.dir / "audit.log").read_text().splitlines()]
    return [line for line in lines if line.get("call") == "/psd.v1.Identity/Renew"]


def start_workers(cluster, *names):
    for name in names:
        cluster.make_client("worker", name)
        cluster.psctl("cert", "renew", who=name)
    return [cluster.start_worker(name) for name in names]


@as_it_ships
def workers_with_certificates_of_seconds_lose_no_push():
    with Cluster() as cluster:
        cluster.tiny_data()
        cluster.start_server(by_file(cluster, leaf=f"{LEAF}s"))
        workers = start_workers(cluster, "w1", "w2")
        begun, pushes = time.monotonic(), 0
        for mode in ("asp", "bsp") * 50:
            job = cluster.wait_job(cluster.submit(cluster.tiny_job(epochs=20, mode=mode)), timeout=300)
            progress = job["progress"]
            assert progress["samples"] == progress["samples_total"] == 20 * 2000, progress
            pushes, before = cluster.psctl_json("status")["pushes"], pushes
            assert mode == "bsp" or pushes - before == progress["steps"] == 20 * 63, "each push was counted once"
            done = [worker.text().count("renewal: the certificate was renewed") for worker in workers]
            if min(done) >= 4 and time.monotonic() - begun > 3 * LEAF:
                break
        assert min(done) >= 4, done
        for worker in workers:
            log = worker.text()
            assert log.count("agent: attached") >= 5, log
            assert not re.search(r" (warning|error) ", log), log
        server = cluster.server.text()
        assert not re.search("silent|lost its connection|has expired|retired", server), server


@as_it_ships
def psd_renews_its_own_and_who_is_connected_stays_so():
    with Cluster() as cluster:
        cluster.tiny_data()
        pem = cluster.certs / "psd.pem"
        Pki(cluster.certs).issue("psd", "spiffe://test/server/psd", usage="serverAuth", hosts=["localhost"], seconds=3 * LEAF)
        first = pem.read_bytes()
        cluster.start_server(by_file(cluster, leaf=f"{3 * LEAF}s"))
        worker = cluster.start_worker("w1")
        wait_until("it is renewed", lambda: "psd's own certificate was renewed" in cluster.server.text(), 3 * LEAF)
        assert pem.read_bytes() != first
        ended = time.monotonic() + 3 * LEAF  # the first one is over by then
        while time.monotonic() < ended:
            cluster.wait_job(cluster.submit(cluster.tiny_job(epochs=5, workers=1)))
        assert worker.text().count("agent: attached") >= 2
        assert not re.search(r" (warning|error) ", worker.text()), worker.text()
        assert not re.search(r" (warning|error) ", cluster.server.text()), cluster.server.text()
        lines = [json.loads(line) for line in (cluster.dir / "audit.log").read_text().splitlines()]
        assert [l["identity"] for l in lines if l["event"] == "renew"][0] == "spiffe://test/server/psd"


@as_it_ships
def a_worker_goes_on_trying_while_the_signer_fails():
    with Cluster() as cluster:
        hook = cluster.dir / "hook"
        hook.write_text(HOOK.format(folder=cluster.dir))
        hook.chmod(0o700)
        cluster.start_server(identity(f"exec:{hook}", leaf=f"{3 * LEAF}s"))
        (worker,) = start_workers(cluster, "w1")
        (cluster.dir / "broken").touch()
        wait_until("it fails", lambda: re.search("the certificate was not renewed, it is tried again: .*the signer gave no "
                                                 "certificate", worker.text()), 3 * LEAF)
        (cluster.dir / "broken").unlink()
        wait_until("and then does not", lambda: re.search(r"the certificate was renewed \(after \d+ failures?\)", worker.text()), LEAF)
        assert "hook: it failed (exit status 9)" in cluster.server.text()
        outcomes = [line["outcome"] for line in renewals(cluster)]
        assert outcomes[0] == "allowed" and outcomes[-1] == "allowed" and "failed" in outcomes, outcomes
        wait_until("it is attached with the new one", lambda: worker.text().count("agent: attached") == 2, 10)
        cluster.tiny_data()
        cluster.wait_job(cluster.submit(cluster.tiny_job(epochs=1, workers=1)))


@as_it_ships
def a_worker_whose_clock_is_off_says_so_and_renews_at_the_pace_of_psds():
    with Cluster() as cluster:
        hook = cluster.dir / "hook"
        hook.write_text(HOOK.format(folder=cluster.dir).replace("-u +%Y%m%d%H%M%SZ) -end", "-u -d @$(cat begin) +%Y%m%d%H%M%SZ) -end"))
        hook.chmod(0o700)
        cluster.start_server(identity(f"exec:{hook}", leaf=f"{LEAF}s"))
        offs = {"w1": (3 * LEAF // 4, "ahead of", "is past half of its life"), "w2": (-100, "behind", "is not yet in force")}
        (cluster.dir / "begin").write_text(str(int(time.time()) - 300))  # the first ones hold by each clock, and are past half
        workers = {}
        for name, (seconds, _, _) in offs.items():
            cluster.make_client("worker", name)
            cluster.psctl("cert", "renew", who=name)
            env = os.environ | {"LD_PRELOAD": str(BUILD / "tests/lib/libshift-clock.so"), "CLOCK_SHIFT": str(seconds)}
            workers[name] = cluster.start_worker(name, env=env)
        begun = time.monotonic()
        (cluster.dir / "begin").write_text(str(int(time.time())))  # and the others do not
        for name, (seconds, where, what) in offs.items():
            worker, renewed = workers[name], "renewal: the certificate was renewed"
            wait_until("it goes on", lambda: worker.text().count(renewed) >= 4, 5 * LEAF)
            said = re.findall(r"this machine's clock is (\d+) s (\D+) psd's: the certificate that came right now (.*) by it, ",
                              worker.text())
            assert [words[1:] for words in said] == [(where, what)] and abs(int(said[0][0]) - abs(seconds)) <= 2 * SLOW, said
            assert worker.text().count(renewed) <= 2 + (time.monotonic() - begun) / (LEAF / 2), worker.text()
            assert " error renewal" not in worker.text(), worker.text()
        cluster.tiny_data()
        cluster.wait_job(cluster.submit(cluster.tiny_job(epochs=1)))


if __name__ == "__main__":
    run([workers_with_certificates_of_seconds_lose_no_push, psd_renews_its_own_and_who_is_connected_stays_so,
         a_worker_goes_on_trying_while_the_signer_fails,
         a_worker_whose_clock_is_off_says_so_and_renews_at_the_pace_of_psds])
