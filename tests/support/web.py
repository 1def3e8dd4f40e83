# SPDX-License-Identifier: MIT
# Web servers and their clients: nginx with a certificate of its own, curl.
import subprocess

from .servers import serving

HTTP, HTTPS = 8080, 8443
# Whatever carries a host's name to a web server: scheme, port, curl's words, and what the answer begins with.
WAYS = {
    "http": ("http", HTTP, (), "- HTTP/1.1"),
    "tls1.2": ("https", HTTPS, ("--tls-max", "1.2", "--http1.1"), "TLSv1.2 HTTP/1.1"),
    "tls1.3": ("https", HTTPS, ("--tlsv1.3", "--http1.1"), "TLSv1.3 HTTP/1.1"),
    "http2": ("https", HTTPS, ("--http2",), "TLSv1.3 HTTP/2.0"),
}


def nginx(namespace, directory, servers, ports):
    """nginx with these server blocks."""
    config = directory / f"nginx-{ports[0]}.conf"
    temporary = directory / f"nginx-{ports[0]}"  # becomes www-data's
    config.write_text(
        f"""daemon off;
master_process off;
pid {directory}/nginx-{ports[0]}.pid;
error_log stderr;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {temporary}; proxy_temp_path {temporary}; fastcgi_temp_path {temporary};
    uwsgi_temp_path {temporary}; scgi_temp_path {temporary};
    default_type text/plain;
    {servers}
}}
"""
    )
    return serving(namespace, directory, ["nginx", "-e", "stderr", "-c", config], ports)


def website(namespace, directory):
    """HTTP and HTTPS for every name: tells of the connection, of HTTP's version and of the host asked for."""
    make_certificate(directory)
    listen = "".join(
        f"listen {address}:{port}{options};"
        for address in ("0.0.0.0", "[::]")
        for port, options in ((HTTP, ""), (HTTPS, " ssl http2"))
    )
    return nginx(
        namespace,
        directory,
        f"""map $ssl_protocol $carried {{ "" "-"; default $ssl_protocol; }}
    server {{
        {listen}
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_certificate {directory}/certificate.pem;
        ssl_certificate_key {directory}/key.pem;
        location / {{ return 200 "$carried $server_protocol $host\\n"; }}
    }}""",
        [HTTP, HTTPS],
    )


def make_certificate(directory):
    """key.pem and certificate.pem, signed by itself."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=limpid.test", "-keyout", directory / "key.pem", "-out", directory / "certificate.pem"],
        check=True,
        capture_output=True,
        timeout=60,
    )  # fmt: skip


def visit(namespace, family, way, host, address=None):
    """curl asks the server, or that address, for the host. A CompletedProcess."""
    scheme, port, words, _ = WAYS[way]
    where = address or family.server
    return namespace.run(
        "curl", "--silent", "--show-error", "--insecure", "--noproxy", "*", "--max-time", "10", *words,
        "--resolve", f"{host}:{port}:{where if family.version == 4 else f'[{where}]'}", f"{scheme}://{host}:{port}/",
        check=False,
    )  # fmt: skip


def is_answered(visited, way, host):
    return visited.returncode == 0 and visited.stdout == f"{WAYS[way][3]} {host}\n"


def is_reset(visited):
    # Not a time-out (28): the connection could not be made (7), or broke in the handshake (35) or after it (56).
    return visited.returncode in (7, 35, 56)
