//! The rules of one chain, read back without those of all others: what a change costs is
//! to follow what it changes, not how large the table is.

use nlink::Connection;
use nlink::netlink::message::{MessageIter, NLM_F_DUMP, NLM_F_REQUEST, NlMsgError};
use nlink::netlink::nftables::RuleInfo;
use nlink::netlink::{FromNetlink, MessageBuilder, Nftables};

use super::encode;
use crate::ruleset::Layer;

/// `NFNL_SUBSYS_NFTABLES` and `NFT_MSG_GETRULE` (`linux/netfilter/nf_tables.h`).
const GET_RULES: u16 = 10 << 8 | 7;
/// `NFTA_RULE_TABLE`.
const OF_TABLE: u16 = 1;
/// `NFTA_RULE_CHAIN`.
const OF_CHAIN: u16 = 2;

/// How often a dump is begun again that a change of somebody else tore.
const ATTEMPTS: usize = 10;

/// Asks for the rules of one chain, in order. A chain that is not there has none.
pub(super) async fn of_chain(
    connection: &Connection<Nftables>,
    table: &str,
    layer: Layer,
    chain: &str,
) -> nlink::Result<Vec<RuleInfo>> {
    let mut attempt = 1;
    loop {
        match dump(connection, table, layer, chain).await {
            Err(error) if error.is_dump_interrupted() && attempt < ATTEMPTS => attempt += 1,
            answer => return answer,
        }
    }
}

async fn dump(
    connection: &Connection<Nftables>,
    table: &str,
    layer: Layer,
    chain: &str,
) -> nlink::Result<Vec<RuleInfo>> {
    let socket = connection.socket();
    let sequence = socket.next_seq();
    let mut request = MessageBuilder::new(GET_RULES, NLM_F_REQUEST | NLM_F_DUMP);
    request.append_bytes(&[encode::family(layer) as u8, 0, 0, 0]);
    request.append_attr_str(OF_TABLE, table);
    request.append_attr_str(OF_CHAIN, chain);
    request.set_seq(sequence);
    request.set_pid(socket.pid());
    socket.send(&request.finish()).await?;
    let (mut rules, mut torn) = (Vec::new(), false);
    loop {
        let data = socket.recv_msg().await?;
        for message in MessageIter::new(&data) {
            let (header, payload) = message?;
            // What is left of a request that was given up.
            if header.nlmsg_seq != sequence {
                continue;
            }
            torn |= header.is_dump_interrupted();
            if header.is_error() {
                let error = NlMsgError::from_bytes(payload)?;
                return Err(error.to_error(header.nlmsg_flags, payload));
            }
            if header.is_done() {
                return match torn {
                    true => Err(nlink::Error::dump_interrupted()),
                    false => Ok(rules),
                };
            }
            rules.push(RuleInfo::from_bytes(payload)?);
        }
    }
}
