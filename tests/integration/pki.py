"""Certificates that psctl does not make: expired, of another use, without an identity. Made with the openssl program.

    Pki(cluster).issue("late", "spiffe://test/submitter/late", days=-1)

writes late.pem and late.key into the cluster's folder of certificates, signed by its CA (or by another one)."""
import pathlib
import secrets
import subprocess
import tempfile
import time


def openssl(*arguments):
    subprocess.run(["openssl", *[str(a) for a in arguments]], check=True, capture_output=True, text=True)


def request(folder, name, uri, subject=None, key=("EC", "-pkeyopt", "ec_paramgen_curve:P-256"), more=()):
    """A certificate request in DER, for a new key in NAME-new.key. uri None: without any name."""
    key_file, csr = folder / f"{name}-new.key", folder / f"{name}-new.csr"
    openssl("genpkey", "-algorithm", *key, "-out", key_file)
    names = ["-addext", f"subjectAltName={uri}"] if uri else []
    openssl("req", "-new", "-key", key_file, "-subj", subject or f"/CN={name}", *names, *more, "-outform", "DER", "-out", csr)
    return csr.read_bytes()


class Pki:
    def __init__(self, certs):
        self.certs = certs

    def issue(self, name, uri, days=30, usage="clientAuth", ca=None, hosts=(), seconds=None):
        """uri None: a certificate without an identity. ca: the folder of another CA. seconds: so long, and not for days."""
        ca = ca or self.certs
        key, request, extensions = (self.certs / f"{name}.{end}" for end in ("key", "csr", "ext"))
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key)
        key.chmod(0o600)
        openssl("req", "-new", "-key", key, "-subj", f"/CN={name}", "-out", request)
        names = ([f"URI:{uri}"] if uri else []) + [f"DNS:{h}" for h in hosts]
        lines = ["keyUsage=digitalSignature"]
        lines += [f"subjectAltName={','.join(names)}"] if names else []
        lines += [f"extendedKeyUsage={usage}"] if usage else []
        extensions.write_text("\n".join(lines) + "\n")
        if seconds:
            self.sign_for_seconds(request, extensions, ca, seconds, self.certs / f"{name}.pem")
            return
        openssl("x509", "-req", "-in", request, "-CA", ca / "ca.pem", "-CAkey", ca / "ca.key", "-days", days,
                "-extfile", extensions, "-out", self.certs / f"{name}.pem")

    @staticmethod
    def sign_for_seconds(request, extensions, ca, seconds, out):
        with tempfile.TemporaryDirectory() as work:
            work, now = pathlib.Path(work), time.time()
            (work / "index").touch()
            (work / "serial").write_text(secrets.token_hex(16) + "\n")
            (work / "cnf").write_text(f"[ca]\ndefault_ca=c\n[c]\nnew_certs_dir={work}\ndatabase={work}/index\n"
                                      f"serial={work}/serial\ndefault_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n")
            dates = [time.strftime("%Y%m%d%H%M%SZ", time.gmtime(when)) for when in (now - 1, now + seconds)]
            openssl("ca", "-batch", "-config", work / "cnf", "-cert", ca / "ca.pem", "-keyfile", ca / "ca.key", "-extfile",
                    extensions, "-in", request, "-notext", "-out", out, "-startdate", dates[0], "-enddate", dates[1])
