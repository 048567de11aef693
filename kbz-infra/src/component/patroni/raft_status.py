#!/opt/patroni/bin/python3
"""Asks the RAFT of this node for its state and prints it as one line of JSON.

The password is read from Patroni's own configuration, so that it is in no argument and no
environment. Whoever calls this decides how long an answer may take.
"""
import json
import sys

import yaml
from pysyncobj.utility import TcpUtility

CONFIG = "/etc/patroni/patroni.yml"
PATIENCE = 4
CONNECTED = 2


def status():
    with open(CONFIG, encoding="utf-8") as config:
        raft = yaml.safe_load(config)["raft"]
    found = TcpUtility(raft["password"], PATIENCE).executeCommand(raft["self_addr"], ["status"])
    partners = [
        state
        for name, state in found.items()
        if name.startswith("partner_node_status_server_")
    ]
    leader = found.get("leader")
    return {
        "has_quorum": bool(found.get("has_quorum")),
        "leader": None if leader is None else str(leader),
        "connected": sum(1 for state in partners if state == CONNECTED),
        "voters": len(partners) + 1,
    }


if __name__ == "__main__":
    try:
        print(json.dumps(status()))
    except Exception as error:  # whatever it is, the caller only needs to know that it failed
        sys.exit(f"raft does not answer: {error}")
