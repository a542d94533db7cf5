#!/usr/bin/python3
"""Makes sure that a switch is there, then prints the rates of its ports once a second.

    PYTHONPATH=python python3 python/examples/rates.py vale0 [SECONDS]
"""

import itertools
import sys
from typing import Dict

import grpc

import netmapd
from netmapd.v1 import stats_pb2, switch_pb2


def counters(snapshot: stats_pb2.Snapshot, switch: str) -> Dict[int, stats_pb2.PortStats]:
    """The live ports of a switch, by id: a name may be another port's a second later."""
    return {p.id: p for p in snapshot.ports if p.switch == switch and not p.gone}


def main(switch: str, seconds: int) -> None:
    with netmapd.connect() as daemon:
        try:
            daemon.switches.CreateSwitch(switch_pb2.CreateSwitchRequest(name=switch))
        except grpc.RpcError as err:
            if err.code() != grpc.StatusCode.ALREADY_EXISTS:
                raise
        before: Dict[int, stats_pb2.PortStats] = {}
        updates = daemon.stats.WatchStats(stats_pb2.WatchStatsRequest())
        for update in itertools.islice(updates, seconds + 1):
            now = counters(update.snapshot, switch)
            for number in now.keys() & before.keys():
                new, old = now[number], before[number]
                lost = sum(new.drops.values()) - sum(old.drops.values())
                print("%s: %d out, %d in, %d lost" % (new.name, new.tx.frames - old.tx.frames, new.rx.frames - old.rx.frames, lost), flush=True)
            before = now


if __name__ == "__main__":
    try:
        main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else sys.maxsize - 1)
    except grpc.RpcError as err:
        sys.exit("%s: %s" % (err.code().name, err.details()))
