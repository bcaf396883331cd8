"""A pretend Microsoft over real HTTP: Entra's sign-in and Graph's mail, calendars, notices. It shares the core of the sandbox.

    box = world.outlook("ina@acme.example", "Ina Holt")
    key = box.deliver(raw)                      # the same bytes may go to world.mailbox(...) too
    box.move(key, "Customers/North"); box.categorise(key, "Blue"); box.delete(key)
    uid = world.microsoft.meet("ina@acme.example", ["bea@northwind.example"], start, end, "Demo", rule="FREQ=WEEKLY;COUNT=4")
    world.microsoft.knobs.sent_delay = 20.0; world.faults.add("F53", account="ina@acme.example")
    with serve(world) as server:
        ... MICROSOFT_GRAPH_ROOT = server.microsoft_graph_root, MICROSOFT_LOGIN_ROOT = server.microsoft_login_root ...

Keys that verbs give and take are immutable ids; default ids are taken too. Headless: `world.microsoft_refresh_token(email)`,
`world.microsoft.access_token(email)`; a whole tenant: `world.microsoft.entra.allow("acme.example")`, `world.microsoft.app_token`.
What a client did: `world.stats` (operations graph.* and entra.*; in flight as "microsoft:EMAIL") and `world.microsoft.meter`.

forms, tokens: how it is written · entra, refusals, signin: who may · outlook, folders, letter, message: mail · diary, event,
zones: calendars · graph, ask, batch, meter: the gates · mail_api, mail_delta, calendar_api, directory_api: the services ·
odata, kql: $filter and $search · subscriptions: notices · presets, senders: faults · filling, control: for other processes.
"""
