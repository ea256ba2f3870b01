//! Commands that wait for their turn: people before samplers, in order among themselves, so many and no more.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use metrics::gauge;
use tokio::sync::{Notify, oneshot};

use super::client::{Priority, Reply};
use super::command_line::CommandLine;
use super::error::RconError;
use crate::domain::ServerTag;
use crate::telemetry::metrics::RCON_QUEUE_DEPTH;

/// How many commands of people may wait.
const PEOPLE: usize = 64;
/// How many of samplers: the next sample is better than a late one.
const SAMPLERS: usize = 16;

/// A command and who waits for its answer.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) line: CommandLine,
    pub(super) timeout: Duration,
    /// Told when the command is about to be sent; closed when the caller gave up before.
    pub(super) started: oneshot::Sender<()>,
    pub(super) answer: oneshot::Sender<Result<Reply, RconError>>,
}

#[derive(Debug)]
pub(super) struct Queue {
    server: ServerTag,
    waiting: Mutex<Waiting>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    people: VecDeque<Request>,
    samplers: VecDeque<Request>,
}

impl Queue {
    pub(super) fn new(server: ServerTag) -> Self {
        Self { server, waiting: Mutex::default(), arrived: Notify::new() }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show_depth(&self, waiting: &Waiting) {
        let depth = waiting.people.len() + waiting.samplers.len();
        gauge!(RCON_QUEUE_DEPTH, "server" => self.server.to_string()).set(depth as f64);
    }

    /// Lets `request` wait, where there is room. Those whose callers gave up make room first.
    pub(super) fn push(&self, priority: Priority, request: Request) -> Result<(), RconError> {
        let mut waiting = self.waiting();
        let (line, most) = match priority {
            Priority::Person => (&mut waiting.people, PEOPLE),
            Priority::Sampler => (&mut waiting.samplers, SAMPLERS),
        };
        line.retain(|request| !request.started.is_closed());
        if line.len() >= most {
            return Err(RconError::QueueFull);
        }
        line.push_back(request);
        self.show_depth(&waiting);
        drop(waiting);
        self.arrived.notify_one();
        Ok(())
    }

    fn pop(&self) -> Option<Request> {
        let mut waiting = self.waiting();
        let next = waiting.people.pop_front().or_else(|| waiting.samplers.pop_front());
        self.show_depth(&waiting);
        next
    }

    /// The next command, as soon as there is one. Dropping the future loses none.
    pub(super) async fn next(&self) -> Request {
        loop {
            if let Some(request) = self.pop() {
                return request;
            }
            self.arrived.notified().await;
        }
    }

    /// Answers all that wait with `error`.
    pub(super) fn fail_all(&self, error: &RconError) {
        while let Some(request) = self.pop() {
            // A caller that is gone needs no answer.
            drop(request.answer.send(Err(error.clone())));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(text: &str) -> (Request, oneshot::Receiver<()>) {
        let (started, start) = oneshot::channel();
        let (answer, _) = oneshot::channel();
        let line = CommandLine::parse(text).unwrap();
        (Request { line, timeout: Duration::ZERO, started, answer }, start)
    }

    fn queue() -> Queue {
        Queue::new(ServerTag::new("prod").unwrap())
    }

    #[tokio::test]
    async fn people_go_before_samplers_and_in_order() {
        let queue = queue();
        let mut callers = Vec::new();
        let order =
            [("s1", Priority::Sampler), ("p1", Priority::Person), ("s2", Priority::Sampler), ("p2", Priority::Person)];
        for (text, priority) in order {
            let (request, caller) = request(text);
            callers.push(caller);
            queue.push(priority, request).unwrap();
        }
        let mut served = Vec::new();
        for _ in 0..4 {
            served.push(queue.next().await.line.to_string());
        }
        assert_eq!(served, ["p1", "p2", "s1", "s2"]);
    }

    #[test]
    fn a_full_queue_takes_no_more_until_a_caller_gives_up() {
        let queue = queue();
        let mut callers = Vec::new();
        for _ in 0..SAMPLERS {
            let (request, caller) = request("/time");
            callers.push(caller);
            queue.push(Priority::Sampler, request).unwrap();
        }
        let (late, _late_caller) = request("/time");
        assert_eq!(queue.push(Priority::Sampler, late), Err(RconError::QueueFull));
        let (person, _person_caller) = request("/time");
        assert_eq!(queue.push(Priority::Person, person), Ok(()));
        drop(callers.pop());
        let (next, _next_caller) = request("/time");
        assert_eq!(queue.push(Priority::Sampler, next), Ok(()));
    }
}
