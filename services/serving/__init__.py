"""What the three servers share: auth, settings, interceptors, telemetry, run and drain.

A part is three things: its settings, a context manager that opens all that it is made of, and two
lines of `__main__`. This is how a gRPC part looks (an HTTP part enters `web.serving_http` with
its application in place of `GrpcServer`, and calls `Authenticator.admit` in a middleware):

    class StoreSettings(Settings):                     # services/store/settings.py
        listen: Address = HostPort("127.0.0.1", 7201)
        etcd_endpoints: Addresses                      # SESSIOND_ETCD_ENDPOINTS

    @asynccontextmanager                               # services/store/app.py
    async def open_store(settings: StoreSettings, running: Running) -> AsyncIterator[Drain]:
        async with AsyncExitStack() as stack:
            etcd = await stack.enter_async_context(open_etcd(settings))
            authenticator = await stack.enter_async_context(authenticating(settings))
            interceptor = CallInterceptor(
                authenticator,
                CallMetrics(running.registry),
                roles={"/sessiond.v1.OwnershipService/": frozenset({Role.LIVE})},
            )
            server = GrpcServer(settings, running.health, interceptor)
            add_StoreServiceServicer_to_server(StoreServicer(etcd), server.grpc)
            await stack.enter_async_context(server)    # last in, so first out: it binds and starts
            running.health.set_ready(True)
            yield nothing_to_drain

    def main() -> NoReturn:                            # services/store/__main__.py
        settings = load(StoreSettings)                 # bad settings: one message, exit code 2
        run("store", settings, partial(open_store, settings))

Inside a handler, `context.current_identity()` is the verified caller, and what it raises as a
`SessiondError` is what the caller gets. To call another part, `channels.open_channel(address,
settings)` gives a channel, the metadata is `context.current_call().metadata()` in the caller's
name or `PartIdentity.metadata()` in the part's own, and `sessiond.status.from_rpc_error` turns
what an RPC raised back into a `SessiondError`.
"""
