//! The servers of a run, and what is needed to make requests to each.

use std::sync::Arc;

use crate::api::SharedName;
use crate::base::error::Result;
use crate::endpoint::{Endpoint, Transport};
use crate::run::RunConfig;
use llmeter_wire::Proxy;

/// One of the servers of a run.
pub(crate) struct Route {
    /// Which one it is, counted from 0.
    pub(crate) number: u16,
    pub(crate) endpoint: Arc<dyn Endpoint>,
    /// The proxy that leads to it.
    pub(crate) proxy: Option<Proxy>,
    /// What responses call it, where there are several.
    pub(crate) name: SharedName,
}

impl Route {
    /// The only server.
    pub(crate) fn to(endpoint: Arc<dyn Endpoint>, proxy: Option<Proxy>) -> Self {
        Self {
            number: 0,
            endpoint,
            proxy,
            name: SharedName::default(),
        }
    }
}

impl RunConfig {
    /// The endpoint and its replicas.
    pub(crate) fn endpoints(&self) -> impl Iterator<Item = &Arc<dyn Endpoint>> {
        std::iter::once(&self.endpoint).chain(&self.replicas)
    }

    /// The run as it would be with each of its servers alone.
    pub(crate) fn at_each_server(&self) -> Vec<Self> {
        let alone = |endpoint: &Arc<dyn Endpoint>| Self {
            endpoint: endpoint.clone(),
            replicas: Vec::new(),
            ..self.clone()
        };
        self.endpoints().map(alone).collect()
    }

    /// The ways to its servers, at least one.
    ///
    /// # Errors
    /// When the environment names a proxy that cannot be used.
    pub(crate) fn routes(&self) -> Result<Arc<[Route]>> {
        let names = self.server_names();
        let route = |(at, endpoint): (usize, &Arc<dyn Endpoint>)| {
            Ok(Route {
                number: at as u16,
                endpoint: endpoint.clone(),
                proxy: self.proxy_to(&**endpoint)?,
                name: names
                    .get(at)
                    .map(|name| SharedName::new(name))
                    .unwrap_or_default(),
            })
        };
        self.endpoints().enumerate().map(route).collect()
    }

    /// What the servers are called, each by a name of its own; none where there is one.
    pub(crate) fn server_names(&self) -> Vec<String> {
        if self.replicas.is_empty() {
            return Vec::new();
        }
        let mut names: Vec<String> = Vec::new();
        for (at, endpoint) in self.endpoints().enumerate() {
            let name = match endpoint.transport() {
                Transport::Http(api) => api.server().shown(),
                Transport::Invoke(_) => endpoint.identity().endpoint_name.clone(),
            };
            // Two paths of one server.
            names.push(match names.contains(&name) {
                true => format!("{name} ({})", at + 1),
                false => name,
            });
        }
        names
    }
}
