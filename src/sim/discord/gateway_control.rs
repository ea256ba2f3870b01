//! What a test does to the gateway while it runs.

use super::SimDiscord;
use super::gateway_faults::{GatewayEnd, GatewayFaults};
use super::gateway_log::GatewayLog;
use super::sessions::Command;

impl SimDiscord {
    /// How the gateway misbehaves from now on.
    pub fn set_gateway_faults(&self, faults: GatewayFaults) {
        self.change_gateway_faults(|current| *current = faults);
    }

    /// Changes some of the gateway's faults and keeps the others.
    pub fn change_gateway_faults(&self, change: impl FnOnce(&mut GatewayFaults)) {
        self.hub.change(|state| change(&mut state.gateway_faults));
    }

    /// Ends every live gateway connection in this way, after what was sent to it so far.
    pub fn end_gateway(&self, end: GatewayEnd) {
        self.hub.change(|state| {
            state.sessions.command_all(|| Command::End(end));
            if end.ends_session() {
                state.sessions.forget();
            }
        });
    }

    /// Every gateway connection gets a close frame, with a code or without.
    pub fn close_gateway(&self, code: Option<u16>) {
        self.end_gateway(GatewayEnd::Close(code));
    }

    /// Every gateway connection ends at once without a close frame; what was queued for it is lost.
    pub fn cut_gateway(&self) {
        self.hub.change(|state| state.sessions.cut_all());
    }

    /// RECONNECT (op 7) to every gateway connection.
    pub fn send_reconnect(&self) {
        self.end_gateway(GatewayEnd::Reconnect);
    }

    /// INVALID SESSION (op 9) to every gateway connection; unless `resumable`, the sessions are forgotten.
    pub fn send_invalid_session(&self, resumable: bool) {
        self.end_gateway(GatewayEnd::InvalidSession(resumable));
    }

    /// What the gateway has seen of its clients since the start.
    #[must_use]
    pub fn gateway_log(&self) -> GatewayLog {
        self.hub.read(|state| state.gateway_log.clone())
    }
}
