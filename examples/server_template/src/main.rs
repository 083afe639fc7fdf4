//! A server to copy and own: HTTP/1.1 and 2, plain and TLS, health, metrics, an end that loses no
//! request. Its README.md says how to run it, and what to change first.

mod config;
mod logging;
mod metrics;
mod routes;
mod tls;

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;
use std::rc::Rc;

use clap::Parser;
use ringspun::server::{Context, Http, Ready, Server, Stream};
use ringspun::signal::unix::{SignalKind, signal};
use tracing::{debug, error, info, warn};

use config::Config;
use metrics::Counters;
use routes::{App, Place};
use tls::Tls;

type BoxError = Box<dyn Error + Send + Sync>;

fn main() -> ExitCode {
    let config = Config::parse();
    let checked = config.check().map_err(BoxError::from);
    match checked.and_then(|()| logging::start(&config)).and_then(|()| run(config)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The log may be what failed.
            eprintln!("server-template: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(config: Config) -> Result<(), BoxError> {
    let tls = match (&config.tls_cert, &config.tls_key) {
        (Some(cert), Some(key)) => Some(Tls::load(cert, key)?),
        _ => None,
    };
    let counters = Counters::default();
    let state = {
        let (config, tls, counters) = (config.clone(), tls.clone(), counters.clone());
        move || Core::new(&config, tls.clone(), &counters)
    };
    let ready = {
        let config = config.clone();
        move |ready: &Ready| announce(ready, &config)
    };
    let report = listen(&config)
        .cores(config.cores.clone())
        .max_connections(config.max_connections)
        .drain(config.drain())
        .on_ready(ready)
        .state(state)
        .serve(connection)
        .run()?;
    info!("ended: {report}");
    Ok(())
}

/// What systemd has passed, or the addresses of the configuration.
fn listen(config: &Config) -> Server {
    let mut own = config.addr.iter().chain(&config.tls_addr).chain(&config.admin_addr);
    let first = own.next().expect("--addr has a default");
    own.fold(Server::bind(*first), |server, addr| server.and(*addr)).prefer_inherited(true)
}

/// The first line on standard output is an address that a browser can open.
fn announce(ready: &Ready, config: &Config) {
    let mut urls = Vec::new();
    for addr in ready.addrs() {
        let Some(mut addr) = addr.tcp() else { continue };
        let is_tls = config.tls_addr.iter().any(|tls| tls.port() == addr.port());
        if addr.ip().is_unspecified() {
            addr.set_ip([127, 0, 0, 1].into());
        }
        let url = format!("{}://{addr}/", if is_tls { "https" } else { "http" });
        let is_admin = config.admin_addr.is_some_and(|admin| admin.port() == addr.port());
        // The page is there.
        let place = if is_admin { 0 } else { urls.len() };
        urls.insert(place, url);
    }
    let first = urls.first().map_or("a socket without an address", String::as_str);
    // Nobody needs to read it.
    let _ = writeln!(std::io::stdout(), "open {first}   (Ctrl-C ends it)");
    for note in ready.notes() {
        warn!("{note}");
    }
    info!(cores = ready.cores(), "listening on {}", urls.join(" "));
}

/// What each core has for itself.
struct Core {
    app: Rc<App>,
    http: Http,
    tls: Option<Tls>,
    tls_ports: Vec<u16>,
    admin_port: Option<u16>,
}

impl Core {
    /// Called on its core.
    fn new(config: &Config, tls: Option<Tls>, counters: &Counters) -> Core {
        let core = ringspun::runtime::core_index().unwrap_or_default();
        if core == 0 {
            ringspun::spawn(reload_at_hangup(tls.clone())).detach();
        }
        Core {
            app: Rc::new(App::new(config, counters.clone(), core)),
            http: Http::new().keep_alive_timeout(config.idle_timeout()),
            tls,
            tls_ports: config.tls_addr.iter().map(|addr| addr.port()).collect(),
            admin_port: config.admin_addr.map(|addr| addr.port()),
        }
    }
}

/// New certificates without an interruption: SIGHUP. Heard without any too: nobody who reloads a
/// service means to end it.
async fn reload_at_hangup(tls: Option<Tls>) {
    let mut hangup = match signal(SignalKind::hangup()) {
        Ok(hangup) => hangup,
        Err(error) => return warn!("certificates stay as they are, no SIGHUP: {error}"),
    };
    while hangup.recv().await.is_some() {
        match tls.as_ref().map(Tls::reload) {
            None => info!("nothing to read again: no certificates"),
            Some(Ok(())) => info!("certificates read again"),
            Some(Err(error)) => error!("certificates stay as they were: {error}"),
        }
    }
}

/// From accept to close.
async fn connection(stream: Stream, ctx: Context<Core>) {
    let core = ctx.state();
    let port = ctx.local().tcp().map(|addr| addr.port());
    let place = match (core.admin_port, port) {
        (None, _) => Place::Everything,
        (Some(admin), Some(port)) if admin == port => Place::Admin,
        _ => Place::Public,
    };
    let is_tls = port.is_some_and(|port| core.tls_ports.contains(&port));
    let service = core.app.service(ctx.clone(), place);
    let result = match &core.tls {
        Some(tls) if is_tls => match tls.accept(stream).await {
            Ok(stream) => core.http.serve_connection(stream, ctx.draining(), service).await,
            Err(error) => Err(format!("handshake: {error}").into()),
        },
        _ => core.http.serve_connection(stream, ctx.draining(), service).await,
    };
    // What peers do wrong is no trouble of ours.
    if let Err(error) = result {
        debug!(peer = %ctx.peer(), "connection ended: {error}");
    }
}
