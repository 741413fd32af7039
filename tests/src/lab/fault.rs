//! What is wrong with one end of a cable, as the packet filter's rules.
//! The rules stand at the interface's entrance, so they catch IPv4, IPv6, ARP and multicast alike.

#[derive(Default)]
pub(super) struct Faults {
    /// Of the frames that come in.
    pub(super) loss_percent: u8,
    /// Hardware addresses whose frames never come in.
    pub(super) deaf_to: Vec<String>,
}

impl Faults {
    /// Replaces the interface's rules in one step; without faults there are none.
    pub(super) fn script(&self, interface: &str) -> String {
        let table = format!("table netdev lab_{interface}");
        let hook = format!("type filter hook ingress device {interface} priority 0;");
        // Deleting a table that does not exist is an error, so it is made sure of first.
        let mut lines = vec![format!("{table} {{ }}"), format!("delete {table}")];
        lines.extend([format!("{table} {{"), "chain entrance {".to_owned(), hook]);
        let deaf_to = self.deaf_to.iter();
        lines.extend(deaf_to.map(|hardware| format!("ether saddr {hardware} drop")));
        if self.loss_percent > 0 {
            let percent = self.loss_percent;
            lines.push(format!("numgen random mod 100 < {percent} drop"));
        }
        lines.extend(["}", "}", ""].map(str::to_owned));
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_healed_link_has_no_rules() {
        let ill = Faults {
            loss_percent: 30,
            deaf_to: vec!["02:77:00:00:00:01".to_owned()],
        };
        let script = ill.script("eth0");
        assert!(script.contains("\nether saddr 02:77:00:00:00:01 drop\n"));
        assert!(script.contains("\nnumgen random mod 100 < 30 drop\n"));
        assert!(!Faults::default().script("eth0").contains("drop"));
    }
}
