# SPDX-License-Identifier: MIT
# Mail: OpenSMTPD, a server that speaks first, and curl.
from .servers import serving

# Its spool and its socket are the machine's: it gets others, and takes its children with it. Whoever it asks for a
# client's name refuses at once.
_ALONE = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c")


def smtpd(namespace, directory, addresses, port):
    """Takes every mail."""
    config = directory / "smtpd.conf"
    listen = "".join(f"listen on {address} port {port}\n" for address in addresses)
    config.write_text(listen + 'action "on" relay\nmatch from any for any action "on"\n')
    start = (
        "mount --bind /dev/null /etc/resolv.conf && mount -t tmpfs none /run && mount -t tmpfs none /var/spool && "
        f"mkdir -m 711 /var/spool/smtpd && exec smtpd -d -f '{config}'"
    )
    return serving(namespace, directory, [*_ALONE, start], [port])


def send(namespace, family, port, text):
    """curl sends it to the server. A CompletedProcess."""
    where = family.server if family.version == 4 else f"[{family.server}]"
    return namespace.run(
        "curl", "--silent", "--show-error", "--verbose", "--max-time", "10", "--mail-from", "a@limpid.test",
        "--mail-rcpt", "b@limpid.test", "--upload-file", "-", f"smtp://{where}:{port}/", text=text, check=False,
    )  # fmt: skip
