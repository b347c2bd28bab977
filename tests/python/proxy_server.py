"""An HTTP proxy, proxy.py, that serves until its standard input ends.

    proxy_server.py LOG [USER:PASSWORD]

Prints its address when it listens. LOG gets a line for each connection that it served.
"""

import sys

import proxy


def main():
    arguments = ["--hostname", "127.0.0.1", "--port", "0", "--num-acceptors", "1"]
    arguments += ["--num-workers", "1", "--log-level", "INFO", "--log-file", sys.argv[1]]
    if len(sys.argv) > 2:
        arguments += ["--basic-auth", sys.argv[2]]
    with proxy.Proxy(arguments) as running:
        print(f"serving http://127.0.0.1:{running.flags.port}", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
