#include "lab/conductor.h"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>

#include <algorithm>
#include <functional>

#include "base/format.h"
#include "base/units.h"
#include "calls/names.h"
#include "lab/agents/cast.h"
#include "lab/link/link.h"
#include "lab/link/netns.h"
#include "lab/observer.h"

namespace tcpwhy::lab {
namespace {

using namespace std::chrono_literals;
using base::Duration;
using base::MonotonicClock;
using base::MonotonicTime;
using base::WallTime;

// How often a condition that no descriptor announces is looked at again.
constexpr Duration state_tick = 1ms;    // the kernel's tables: an orphan may vanish without a packet
constexpr Duration sleep_tick = 100us;  // has the call gone to sleep?
// After a segment's time is over it is waited for a little longer, so that the message can say when it came.
constexpr Duration grace = 500ms;
// A link that holds a packet for longer has lost it.
constexpr Duration settling_limit = 1s;

// What holding a line against the facts gave.
struct Verdict {
  std::optional<Mismatch> mismatch;
  bool stop = false;  // nothing after it would mean anything
  std::optional<std::uint32_t> call;

  static Verdict holds() { return {}; }
  static Verdict fails(std::string expected, std::string actual, bool stop) {
    return {Mismatch{std::move(expected), std::move(actual)}, stop, std::nullopt};
  }
};

class Conductor {
 public:
  Conductor(const Scenario& scenario, Family family)
      : scenario_(scenario), family_(family), cast_(scenario, family, recording_) {}

  base::Result<recording::Recording> run() {
    describe();
    if (const auto built = build(); !built) return std::unexpected(built.error());
    deadline_ = MonotonicClock::now() + scenario_.limit;
    for (const Step& step : scenario_.steps) {
      const auto verdict = perform(step);
      if (!verdict) return std::unexpected(verdict.error());
      note(step.comment, step);
      if (!verdict->mismatch) continue;
      recording_.events.push_back({base::wall_now(),
                                   {},
                                   recording::ExpectationFailed{step.at.line, verdict->mismatch->expected,
                                                                verdict->mismatch->actual, verdict->call}});
      if (verdict->stop) break;
    }
    if (const auto settled = settle(); !settled) return std::unexpected(settled.error());
    observer_->note_losses();
    recording_.provenance.settings[std::string(namespaces_setting)] =
        fmt::format("{}", fmt::join(observer_->namespaces(), " "));
    recording::sort_by_time(recording_);
    return std::move(recording_);
  }

 private:
  // --- Before the first step -------------------------------------------------------------------------------------

  void describe() {
    recording::Provenance& provenance = recording_.provenance;
    provenance.title = scenario_.name;
    provenance.scenario = scenario_.text;
    provenance.wire = scenario_.wire;
    provenance.program = "tcpwhy " TCPWHY_VERSION;
    utsname names{};
    if (uname(&names) == 0)
      provenance.host = names.nodename, provenance.kernel = fmt::format("{} {}", names.sysname, names.release);
    using enum recording::Observation;
    provenance.observed = {packets, calls, states_sampled, counters};
    auto& labels = provenance.labels;
    labels["title"] = scenario_.title;
    labels["title.zh"] = scenario_.title_zh;
    labels["role"] = scenario_.role == Role::main ? "main" : "contrast";
    if (!scenario_.asks.empty()) labels["asks"] = fmt::format("{}", fmt::join(scenario_.asks, ", "));
    if (!scenario_.about.empty()) labels["about"] = scenario_.about;
    for (const Step& step : scenario_.steps) {
      if (!step.note_zh.empty()) labels[fmt::format("note.zh.{}", step.at.line)] = step.note_zh;
      if (!step.comment_zh.empty()) labels[fmt::format("comment.zh.{}", step.at.line)] = step.comment_zh;
    }
    provenance.settings["family"] = family_name(family_);
  }

  base::Status build() {
    auto& settings = recording_.provenance.settings;
    std::vector<Observer::Host> hosts;
    if (scenario_.wire == recording::WireKind::link) {
      LinkOptions options;
      for (const Delay& delay : scenario_.delays) {
        if (delay.from != "server") options.client_to_server = delay.one_way;
        if (delay.from != "client") options.server_to_client = delay.one_way;
      }
      auto link = Link::create(options);
      if (!link) return std::unexpected(std::move(link.error()));
      link_.emplace(std::move(*link));
      settings.insert(link_->sysctls().set.begin(), link_->sysctls().set.end());
      settings["delay client > server"] = fmt::format("{} ms", base::to_ms(options.client_to_server));
      settings["delay server > client"] = fmt::format("{} ms", base::to_ms(options.server_to_client));
      for (const LinkEnd end : {LinkEnd::client, LinkEnd::server}) {
        const NetNamespace& home = link_->end(end);
        if (const auto set = home.run([&] { return apply_settings(end); }); !set) return set;
        hosts.push_back({std::string(to_string(end)), &home, std::string(link_interface)});
      }
    } else {
      const auto applied = apply_sysctls(standard_sysctls());
      if (!applied) return std::unexpected(applied.error());
      settings.insert(applied->set.begin(), applied->set.end());
      if (const auto set = apply_settings({}); !set) return set;
      if (const auto up = set_interface_up("lo"); !up) return up;
      hosts.push_back({"", nullptr, "lo"});
    }
    for (const Setting& setting : scenario_.settings)
      settings[setting.host.empty() ? setting.name : fmt::format("{} {}", setting.host, setting.name)] = setting.value;
    // The ends first: what is opened after them they can't inherit.
    if (const auto started = cast_.start(link_ ? &*link_ : nullptr); !started) return started;
    auto observer = Observer::open(hosts, recording_);
    if (!observer) return std::unexpected(std::move(observer.error()));
    observer_.emplace(std::move(*observer));
    return {};
  }

  base::Status apply_settings(std::optional<LinkEnd> end) {
    for (const Setting& setting : scenario_.settings) {
      if (end && !setting.host.empty() && setting.host != to_string(*end)) continue;
      if (auto set = set_sysctl(setting.name, setting.value); !set) {
        set.error().message =
            base::format({"{}:{}: {}", "{}:{}：{}"}, scenario_.path.empty() ? scenario_.name : scenario_.path,
                         setting.at.line, set.error().message);
        return set;
      }
    }
    return {};
  }

  // --- Waiting ---------------------------------------------------------------------------------------------------

  // Takes what there is, and samples if there was anything (or `always`).
  base::Status advance(bool always) {
    const auto packets = observer_->drain();
    if (!packets) return std::unexpected(packets.error());
    const auto calls = cast_.collect();
    if (!calls) return std::unexpected(calls.error());
    if (link_) {
      reports_.clear();
      if (const auto drained = link_->drain(reports_); !drained) return drained;
      for (const LinkReport& report : reports_) {
        if (report.deed == LinkDeed::forwarded) continue;
        if (report.deed == LinkDeed::dropped) {
          ++dropped_;
          recording_.events.push_back({report.arrived, {}, recording::LinkAction{"drop", 0}});
        } else {
          recording_.events.push_back(
              {report.arrived,
               {},
               recording::Loss{"packets", 1,
                               fmt::format("the link could not forward one from the {}", to_string(report.from))}});
        }
      }
    }
    if (!*packets && !*calls && !always) return {};
    return observer_->sample();
  }

  base::Status wait_for_events(Duration at_most) {
    std::vector<pollfd> fds;
    for (const int fd : observer_->fds()) fds.push_back({fd, POLLIN, 0});
    for (const int fd : cast_.fds()) fds.push_back({fd, POLLIN, 0});
    if (link_) fds.push_back({link_->fd(), POLLIN, 0});
    const auto ns = std::max<Duration::rep>(at_most.count(), 0);
    const timespec timeout{ns / 1'000'000'000, ns % 1'000'000'000};
    if (::ppoll(fds.data(), fds.size(), &timeout, nullptr) < 0 && errno != EINTR) return base::fail_errno("poll");
    return {};
  }

  // True when the condition holds, false when the deadline has passed. `tick` != 0: look again that often, with a new
  // sample.
  base::Result<bool> wait_until(const std::function<bool()>& condition, MonotonicTime deadline, Duration tick = {},
                                bool sample = false) {
    deadline = std::min(deadline, deadline_);
    while (true) {
      if (const auto advanced = advance(sample); !advanced) return std::unexpected(advanced.error());
      if (condition()) return true;
      const Duration left = deadline - MonotonicClock::now();
      if (left <= Duration{0}) return false;
      if (const auto waited = wait_for_events(tick == Duration{} ? left : std::min(left, tick)); !waited)
        return std::unexpected(waited.error());
    }
  }

  // At the end nothing may be left in the middle of the link: every segment that left one end is waited for at the
  // other.
  base::Status settle() {
    const auto in_flight = [&] {
      std::int64_t departed = 0, arrived = 0;
      for (const SeenSegment& seen : observer_->segments()) {
        const bool leaves = cast_.is_on_host(seen.host, seen.from);
        (leaves ? departed : arrived) += 1;
      }
      return departed > arrived + dropped_;
    };
    const auto settled = wait_until([&] { return !link_ || !in_flight(); }, MonotonicClock::now() + settling_limit);
    if (!settled) return std::unexpected(settled.error());
    return advance(true);
  }

  MonotonicTime step_deadline() const { return MonotonicClock::now() + scenario_.step_limit; }

  // The deadline of something with bounds that began at `anchor_`.
  MonotonicTime bounded_deadline(const Bounds& bounds) const {
    if (!bounds.within) return step_deadline();
    return MonotonicClock::now() + std::min<Duration>(*bounds.within + grace, scenario_.step_limit);
  }

  static std::string describe(const Bounds& bounds) {
    std::string text;
    if (bounds.after) text += fmt::format(" after {}", base::milliseconds_in_words(*bounds.after));
    if (bounds.within) text += fmt::format(" within {}", base::milliseconds_in_words(*bounds.within));
    return text;
  }

  static bool in_bounds(const Bounds& bounds, Duration took) {
    return (!bounds.after || took >= *bounds.after) && (!bounds.within || took <= *bounds.within);
  }

  // --- Steps -----------------------------------------------------------------------------------------------------

  void note(const std::string& text, const Step& step) {
    if (!text.empty()) recording_.events.push_back({base::wall_now(), {}, recording::Note{text, step.at.line}});
  }

  base::Result<Verdict> perform(const Step& step) {
    note(step.note, step);
    if (MonotonicClock::now() >= deadline_)
      return Verdict::fails(
          step.text, fmt::format("the scenario's limit of {} is over", base::milliseconds_in_words(scenario_.limit)),
          true);
    const auto verdict = std::visit([&](const auto& what) { return perform(step, what); }, step.what);
    if (!verdict) return verdict;
    if (const auto sampled = advance(true); !sampled) return std::unexpected(sampled.error());
    return verdict;
  }

  // Nothing if a call can be made by `who` now.
  std::optional<Verdict> not_ready(const Step& step, const std::string& who) const {
    if (!cast_.started(who)) return Verdict::fails(step.text, fmt::format("{} has not been forked", end_of(who)), true);
    if (!cast_.alive(who))
      return Verdict::fails(step.text, fmt::format("{} has ended: {}", end_of(who), end_text(who)), true);
    if (cast_.busy(who))
      return Verdict::fails(step.text, fmt::format("{} is still in {}()", who, call_in_progress(who)), true);
    return std::nullopt;
  }

  std::string call_in_progress(const std::string& who) const {
    const Batch* batch = cast_.batch(who);
    return batch ? std::string(row_of(batch->calls.back().id).name) : "a call";
  }

  std::string end_text(const std::string& who) const {
    const std::optional<int> status = cast_.end_status(who);
    if (!status) return "it runs";
    return WIFSIGNALED(*status) ? fmt::format("+++ killed by {} +++", calls::signal_name(WTERMSIG(*status)))
                                : fmt::format("+++ exited with {} +++", WEXITSTATUS(*status));
  }

  base::Result<Verdict> perform(const Step& step, const CallStep& what) {
    if (auto refused = not_ready(step, what.who)) return *refused;
    first_event_ = recording_.events.size();
    last_caller_ = what.who;
    if (const auto begun = cast_.begin(what, step.at.line); !begun) return std::unexpected(begun.error());
    if (what.calls.back().expectation.kind == Expectation::Kind::blocks) return perform_blocking(what);

    // Nothing announces that an exec has come to its end.
    const Duration tick = what.calls.back().call.id == CallId::exec ? state_tick : Duration{};
    const auto returned = wait_until([&] { return !cast_.busy(what.who); }, step_deadline(), tick);
    if (!returned) return std::unexpected(returned.error());
    Verdict verdict;
    for (std::size_t i = 0; i < what.calls.size() && !verdict.mismatch; ++i)
      verdict = judge_call(what, i, what.calls[i].expectation);
    if (!*returned) verdict.stop = true;
    anchor_ = cast_.progress(what.who, what.calls.size() - 1).entered_at;
    if (verdict.mismatch) return verdict;
    const auto& last = cast_.progress(what.who, what.calls.size() - 1);
    const Duration took = last.returned_at - last.entered_at;
    if (last.returned && !in_bounds(step.bounds, took))
      return Verdict::fails(fmt::format("{} to return{}", call_in_progress(what.who), describe(step.bounds)),
                            fmt::format("it took {}", base::milliseconds_in_words(took)), false);
    return verdict;
  }

  Verdict judge_call(const CallStep& what, std::size_t index, const Expectation& expectation) {
    const CallOutcome outcome = cast_.outcome(what.who, index);
    Verdict verdict;
    verdict.mismatch = compare(expectation, what.calls[index].call.id, outcome);
    const auto& progress = cast_.progress(what.who, index);
    if (progress.entered) verdict.call = progress.number;
    if (verdict.mismatch && !outcome.returned && !outcome.killed_by && !outcome.exited_with)
      verdict.mismatch->actual = fmt::format("{}() did not return within {}", row_of(what.calls[index].call.id).name,
                                             base::milliseconds_in_words(scenario_.step_limit));
    // An end that is gone unexpectedly leaves nothing to go on with.
    verdict.stop = verdict.mismatch && !outcome.returned;
    return verdict;
  }

  base::Result<Verdict> perform_blocking(const CallStep& what) {
    const auto asleep =
        wait_until([&] { return cast_.blocked(what.who) || !cast_.busy(what.who); }, step_deadline(), sleep_tick);
    if (!asleep) return std::unexpected(asleep.error());
    const std::size_t last = what.calls.size() - 1;
    Verdict verdict;
    for (std::size_t i = 0; i < last && !verdict.mismatch; ++i)
      verdict = judge_call(what, i, what.calls[i].expectation);
    anchor_ = cast_.progress(what.who, last).entered_at;
    if (!verdict.mismatch && !cast_.busy(what.who))
      verdict = Verdict::fails("... (it blocks)", lab::describe(cast_.outcome(what.who, last)), true);
    return verdict;
  }

  base::Result<Verdict> perform(const Step& step, const ResumeStep& what) {
    const Batch* batch = cast_.batch(what.who);
    if (!batch || batch->step->calls.back().call.id != what.call)
      return Verdict::fails(step.text, fmt::format("{} is not in {}()", what.who, row_of(what.call).name), true);
    const auto returned = wait_until([&] { return !cast_.busy(what.who); }, bounded_deadline(step.bounds));
    if (!returned) return std::unexpected(returned.error());
    const std::size_t last = batch->step->calls.size() - 1;
    Verdict verdict = judge_call(*batch->step, last, what.expectation);
    verdict.stop |= !*returned;
    const auto& progress = cast_.progress(what.who, last);
    if (!verdict.mismatch && progress.returned) {
      const Duration took = progress.returned_at - anchor_;
      if (!in_bounds(step.bounds, took))
        return Verdict::fails(fmt::format("{}() to return{}", row_of(what.call).name, describe(step.bounds)),
                              fmt::format("it returned after {}", base::milliseconds_in_words(took)), false);
      anchor_ = progress.returned_at;
    }
    return verdict;
  }

  base::Result<Verdict> perform(const Step& step, const ProcessStep& what) {
    const auto there = [&] {
      return what.kind == ProcessStep::Kind::signal ? saw_signal(what) : !cast_.alive(what.who);
    };
    const auto came = wait_until(there, step_deadline());
    if (!came) return std::unexpected(came.error());
    if (!*came) return Verdict::fails(step.text, cast_.alive(what.who) ? "it runs on" : end_text(what.who), true);
    if (what.kind == ProcessStep::Kind::signal) return Verdict::holds();
    const std::string expected = what.kind == ProcessStep::Kind::killed
                                     ? fmt::format("+++ killed by {} +++", calls::signal_name(what.number))
                                     : fmt::format("+++ exited with {} +++", what.number);
    if (end_text(what.who) != expected) return Verdict::fails(expected, end_text(what.who), false);
    return Verdict::holds();
  }

  // Since the latest call of a step.
  bool saw_signal(const ProcessStep& what) const {
    for (std::size_t i = first_event_; i < recording_.events.size(); ++i) {
      const recording::Event& event = recording_.events[i];
      const auto* signal = std::get_if<recording::Signal>(&event.what);
      if (signal && signal->name == calls::signal_name(what.number) && event.actor.valid() &&
          end_of(recording_.actors[event.actor.value].name) == end_of(what.who))
        return true;
    }
    return false;
  }

  // Whether a line before has named this segment or a later one. Two taps are read one after the other, so that the
  // order of the list is not that of time.
  [[nodiscard]] bool is_past(std::size_t index) const {
    if (!named_segment_) return false;
    const auto& segments = observer_->segments();
    return std::pair(segments[index].at, index) <= std::pair(segments[*named_segment_].at, *named_segment_);
  }

  // The next segment after the ones that lines before have named. A segment counts where it arrives.
  std::optional<std::size_t> find_segment(const WireStep& what) const {
    const auto& segments = observer_->segments();
    std::optional<std::size_t> first;
    for (std::size_t i = 0; i < segments.size(); ++i) {
      const SeenSegment& seen = segments[i];
      if (is_past(i) || seen.flags != what.flags || (what.length && *what.length != seen.length)) continue;
      if (seen.host != cast_.host_of(what.to) || !cast_.owns(what.from, seen.from) || !cast_.owns(what.to, seen.to))
        continue;
      if (!first || seen.at < segments[*first].at) first = i;
    }
    return first;
  }

  base::Result<Verdict> perform(const Step& step, const WireStep& what) {
    const auto came = wait_until([&] { return find_segment(what).has_value(); }, bounded_deadline(step.bounds));
    if (!came) return std::unexpected(came.error());
    if (!*came) return Verdict::fails(step.text, segments_since(), true);
    const std::size_t index = *find_segment(what);
    const SeenSegment& seen = observer_->segments()[index];
    named_segment_ = index;
    const Duration took = seen.at - anchor_;
    anchor_ = seen.at;
    if (!in_bounds(step.bounds, took))
      return Verdict::fails(fmt::format("{} > {} [{}]{}", what.from, what.to, what.flags, describe(step.bounds)),
                            fmt::format("it came after {}", base::milliseconds_in_words(took)), false);
    return Verdict::holds();
  }

  // What there was instead.
  std::string segments_since() const {
    std::string text;
    for (std::size_t i = 0; i < observer_->segments().size() && text.size() < 200; ++i) {
      if (is_past(i)) continue;
      const SeenSegment& seen = observer_->segments()[i];
      text += fmt::format("{}{} > {} [{}] length {}", text.empty() ? "" : ", ", seen.from, seen.to, seen.flags,
                          seen.length);
    }
    return text.empty() ? "no segment came" : text;
  }

  base::Result<Verdict> perform(const Step&, const LinkStep& what) {
    for (const LinkEnd end : {LinkEnd::client, LinkEnd::server})
      if (what.from.empty() || what.from == to_string(end)) link_->set_dropping(end, what.drop);
    anchor_ = base::wall_now();
    return Verdict::holds();
  }

  base::Result<Verdict> perform(const Step& step, const SilenceStep& what) {
    if (what.duration) return hear_nothing(step, *what.duration);
    const Batch* batch = last_caller_.empty() ? nullptr : cast_.batch(last_caller_);
    if (!batch) return Verdict::fails(step.text, "there is no call above it", true);
    // A segment that a call sends passes the tap between the call's entry and its return (timers apart, which no call
    // causes).
    const WallTime from = batch->progress.front().entered_at;
    const WallTime until = batch->progress.back().returned ? batch->progress.back().returned_at : base::wall_now();
    for (const SeenSegment& seen : observer_->segments())
      if (seen.at >= from && seen.at <= until && seen.host == cast_.host_of(last_caller_) &&
          cast_.owns(last_caller_, seen.from))
        return Verdict::fails(
            "no segment", fmt::format("{} > {} [{}] length {}", seen.from, seen.to, seen.flags, seen.length), false);
    return Verdict::holds();
  }

  base::Result<Verdict> hear_nothing(const Step& step, Duration duration) {
    const std::size_t heard = observer_->segments().size();
    const MonotonicTime end = MonotonicClock::now() + duration;
    const auto came = wait_until([&] { return observer_->segments().size() > heard; }, end);
    if (!came) return std::unexpected(came.error());
    if (!*came) return Verdict::holds();
    const SeenSegment& seen = observer_->segments()[heard];
    return Verdict::fails(step.text, fmt::format("{} > {} [{}] length {}", seen.from, seen.to, seen.flags, seen.length),
                          false);
  }

  base::Result<Verdict> perform(const Step& step, const StateStep& what) {
    const SocketInfo socket = cast_.socket(what.who, what.descriptor);
    const auto reached = wait_until([&] { return is_in_state(what, socket) || passed_state(what, socket); },
                                    bounded_deadline(step.bounds), state_tick, true);
    if (!reached) return std::unexpected(reached.error());
    if (!*reached) return Verdict::fails(step.text, fmt::format("it is {}", tcp::name(state_of(what, socket))), true);
    return Verdict::holds();
  }

  // The kernel's table has no closed sockets: CLOSED is what is not there.
  tcp::State state_of(const StateStep& what, const SocketInfo& socket) const {
    const std::optional<recording::SocketSnapshot> found =
        observer_->find_socket(cast_.host_of(what.who), socket.local, socket.remote);
    return found ? found->state : tcp::State::closed;
  }
  bool is_in_state(const StateStep& what, const SocketInfo& socket) const {
    return state_of(what, socket) == what.state.value_or(tcp::State::closed);
  }

  // A state may be over before it was asked for; since the latest call it counts.
  bool passed_state(const StateStep& what, const SocketInfo& socket) const {
    for (std::size_t i = first_event_; i < recording_.events.size(); ++i) {
      const auto* state = std::get_if<recording::SocketState>(&recording_.events[i].what);
      if (state && state->to == what.state && state->local == socket.local &&
          (!socket.remote || state->remote == *socket.remote))
        return true;
    }
    return false;
  }

  base::Result<Verdict> perform(const Step& step, const CounterStep& what) {
    const auto moved = [&] { return observer_->moved(what.host, what.name); };
    const auto reached =
        wait_until([&] { return moved() == what.delta; }, bounded_deadline(step.bounds), state_tick, true);
    if (!reached) return std::unexpected(reached.error());
    if (!*reached) return Verdict::fails(step.text, fmt::format("it has moved by {:+}", moved()), false);
    return Verdict::holds();
  }

  base::Result<Verdict> perform(const Step&, const PauseStep& what) {
    const MonotonicTime end = MonotonicClock::now() + what.duration;
    const auto waited = wait_until([] { return false; }, end);
    if (!waited) return std::unexpected(waited.error());
    return Verdict::holds();
  }

  const Scenario& scenario_;
  Family family_;
  recording::Recording recording_;
  std::optional<Link> link_;
  Cast cast_;
  std::optional<Observer> observer_;
  std::vector<LinkReport> reports_;
  MonotonicTime deadline_{};
  WallTime anchor_{};                         // what `within` and `after` count from
  std::size_t first_event_ = 0;               // of the latest call
  std::optional<std::size_t> named_segment_;  // by the latest `wire` line
  std::int64_t dropped_ = 0;                  // packets, by the link, as the scenario asked
  std::string last_caller_;
};

}  // namespace

base::Result<recording::Recording> conduct(const Scenario& scenario, Family family) {
  return Conductor(scenario, scenario.family.value_or(family)).run();
}

}  // namespace tcpwhy::lab
