"""A browser of services that is not ours: everything that it sees for SECONDS, as JSON."""
import json
import sys
import time

from zeroconf import ServiceBrowser, Zeroconf, ZeroconfServiceTypes

TYPE = "_studiovault._tcp.local."


def plain(value):
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


class Seen:
    def __init__(self):
        self.names = []

    def add_service(self, _zeroconf, _type, name):
        self.names.append(name)

    def update_service(self, *_):
        pass

    def remove_service(self, *_):
        pass


zeroconf = Zeroconf()
seen = Seen()
ServiceBrowser(zeroconf, TYPE, seen)
time.sleep(float(sys.argv[1]))
services = []
for name in seen.names:
    info = zeroconf.get_service_info(TYPE, name, 3000)
    if info is not None:
        properties = {plain(key): plain(value) for key, value in info.properties.items()}
        services.append({
            "name": name,
            "server": info.server,
            "port": info.port,
            "properties": properties,
            "addresses": info.parsed_addresses(),
        })
types = list(ZeroconfServiceTypes.find(zc=zeroconf, timeout=3))
zeroconf.close()
print(json.dumps({"services": services, "types": types}))
