"""A pretend Microsoft over real HTTP: Entra's sign-in and Graph's mail, calendars, notices. It shares the core of the sandbox.

box = world.outlook("ina@acme.example")
box.deliver(raw)
world.microsoft.meet("ina@acme.example", ["bea@northwind.example"], start, end, "Demo")
... MICROSOFT_GRAPH_ROOT = server.microsoft_graph_root, MICROSOFT_LOGIN_ROOT = server.microsoft_login_root ...
"""
