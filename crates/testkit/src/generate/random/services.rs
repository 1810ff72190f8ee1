//! Services that select pods or nothing, with target ports that pods have or lack.

use ringfence_model::k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use ringfence_model::k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use ringfence_model::k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use ringfence_model::parse::TypedObject;

use super::selectors::{self, Of};
use super::{Dice, NAMESPACES};

pub(super) fn services(dice: &mut Dice) -> Vec<TypedObject> {
    let count = dice.between(0, 4);
    (0..count).map(|number| service(dice, number)).collect()
}

fn service(dice: &mut Dice, number: usize) -> TypedObject {
    let selector = dice
        .chance(85)
        .then(|| selectors::labels(dice, Of::Pods))
        .filter(|labels| !labels.is_empty());
    // Addresses of pods' blocks and of others, none, or those of both families.
    let (first, second) = (format!("10.0.1.{number}"), format!("fd00::1:{number}"));
    let addresses = match dice.below(5) {
        0 => vec![first],
        1 => vec![second],
        2 => vec![first, second],
        3 => vec!["None".to_owned()],
        _ => Vec::new(),
    };
    TypedObject::Service(Box::new(Service {
        metadata: ObjectMeta {
            namespace: Some(dice.pick(&NAMESPACES).to_owned()),
            name: Some(format!("s{number}")),
            ..ObjectMeta::default()
        },
        spec: Some(ServiceSpec {
            cluster_ip: addresses.first().cloned(),
            cluster_ips: (!addresses.is_empty()).then_some(addresses),
            selector,
            ports: Some(ports(dice)),
            ..ServiceSpec::default()
        }),
        status: None,
    }))
}

fn ports(dice: &mut Dice) -> Vec<ServicePort> {
    dice.several(1, 3, |dice| {
        let (port, protocol) = dice.pick(&[(80, "TCP"), (443, "TCP"), (53, "UDP"), (81, "SCTP")]);
        let target = match dice.below(6) {
            0 => None,
            1 => Some(IntOrString::String("http".to_owned())),
            2 => Some(IntOrString::String("web".to_owned())),
            3 => Some(IntOrString::String("dns".to_owned())),
            4 => Some(IntOrString::Int(8080)),
            _ => Some(IntOrString::Int(80)),
        };
        ServicePort {
            name: Some(format!("p{}", dice.below(100))),
            port,
            protocol: Some(protocol.to_owned()),
            target_port: target,
            ..ServicePort::default()
        }
    })
}
