#include "trace/bpf/bpf_tracer.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <memory>
#include <new>
#include <optional>
#include <set>

#include "base/format.h"
#include "base/unique_fd.h"
#include "trace/bpf/events/event_maker.h"
#include "trace/bpf/events/named_conversations.h"
#include "trace/bpf/kernel/kernel_types.h"
#include "trace/counter_sampler.h"
#include "trace/gated_child.h"
#include "trace/give_way.h"
#include "trace/holders.h"
#include "trace/record_log.h"
#include "trace/repeated_calls.h"
#include "trace/socket_sampler.h"

namespace tcpwhy::trace {
namespace {

namespace fs = std::filesystem;

// Records don't wake the reader one by one: it looks this often, and sooner when the ring is filling up.
constexpr std::int64_t look_every_ns = 20'000'000;

// Stacks that are not known yet are few and come again and again: so many are enough, and cost next to nothing.
constexpr std::uint32_t samples_a_look = 8;

base::Result<base::UniqueFd> make_clock() {
  base::UniqueFd timer(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
  const itimerspec every{{0, look_every_ns}, {0, look_every_ns}};
  if (!timer.valid() || timerfd_settime(timer.get(), 0, &every, nullptr) != 0) return base::fail_errno("timerfd");
  return timer;
}

base::Result<base::UniqueFd> watch_both(int one, int other) {
  base::UniqueFd both(epoll_create1(EPOLL_CLOEXEC));
  if (!both.valid()) return base::fail_errno("epoll_create1");
  for (const int fd : {one, other}) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    if (epoll_ctl(both.get(), EPOLL_CTL_ADD, fd, &event) != 0) return base::fail_errno("epoll_ctl");
  }
  return both;
}

// Of records that are much alike the same, for RecordLog: those of one call, one change of state, one kind of segment.
std::uint32_t likeness(std::span<const std::byte> record) {
  const auto& head = *reinterpret_cast<const probe_head*>(record.data());
  const std::size_t left_out = (head.flags & PROBE_BRIEF) != 0 ? PROBE_BRIEF_SAVES : 0;
  const auto byte_at = [&](std::size_t offset) { return std::to_integer<std::uint32_t>(record[offset - left_out]); };
  std::uint32_t which = 0;
  switch (head.kind) {
    case PROBE_CALL_ENTERED:
    case PROBE_CALL_RETURNED:
    case PROBE_CALL_MADE:
      which = byte_at(offsetof(probe_call, number)) | byte_at(offsetof(probe_call, number) + 1) << 8U;
      break;
    case PROBE_STATE:
      which = byte_at(offsetof(probe_state, old_state)) << 4U | byte_at(offsetof(probe_state, new_state));
      break;
    case PROBE_SEGMENT:
      which = byte_at(offsetof(probe_segment, facts.flags)) << 5U ^ byte_at(offsetof(probe_segment, direct)) << 8U ^
              byte_at(offsetof(probe_segment, path));
      break;
    default: break;
  }
  constexpr std::uint32_t kinds = 32, flags = PROBE_EXITING | PROBE_BRIEF;
  const std::uint32_t seven_bits = which * 0x9e37'79b1U >> 25U;
  return (seven_bits * (flags + 1) + (head.flags & flags)) * kinds + head.kind;
}

// A record's own members, from `pointer` of its socket on: what a brief one leaves out stands before.
std::size_t place_in(std::span<const std::byte> record, std::size_t offset) {
  const auto& head = *reinterpret_cast<const probe_head*>(record.data());
  return offset - ((head.flags & PROBE_BRIEF) != 0 ? PROBE_BRIEF_SAVES : 0);
}

template <class Member>
Member member_of(std::span<const std::byte> record, std::size_t offset) {
  Member member{};
  if (const std::size_t place = place_in(record, offset); record.size() >= place + sizeof member)
    std::memcpy(&member, record.data() + place, sizeof member);
  return member;
}

// Two of the same thread that differ in when they were made only.
bool are_alike(std::span<const std::byte> one, std::span<const std::byte> other) {
  const auto same = [&](std::size_t begin, std::size_t end) {
    return std::memcmp(one.data() + begin, other.data() + begin, end - begin) == 0;
  };
  constexpr std::size_t behind_time = offsetof(probe_head, kind);
  if (one.size() != other.size() || !same(behind_time, sizeof(probe_head))) return false;
  const std::size_t call = place_in(one, offsetof(probe_call, call));
  return same(sizeof(probe_head), call) && same(call + sizeof(probe_call::call), one.size());
}

std::uint64_t socket_of(std::span<const std::byte> record) {
  return member_of<std::uint64_t>(record, offsetof(probe_call, socket.pointer));
}

// One that changes nothing; nothing: it does, or is no whole call.
std::optional<RepeatedCalls::Call> idle_call(std::span<const std::byte> record) {
  const auto& head = *reinterpret_cast<const probe_head*>(record.data());
  if (head.kind != PROBE_CALL_MADE || record.size() < place_in(record, offsetof(probe_call, snippet)))
    return std::nullopt;
  const auto* row = calls::find_call(member_of<__u32>(record, offsetof(probe_call, number)));
  const auto arguments = member_of<calls::SyscallArguments>(record, offsetof(probe_call, arguments));
  if (row == nullptr || !changes_nothing(*row, arguments, member_of<__s64>(record, offsetof(probe_call, result))))
    return std::nullopt;
  const std::uint64_t socket = socket_of(record);
  const auto entered_ns = member_of<std::uint64_t>(record, offsetof(probe_call, call));
  return RepeatedCalls::Call{socket != 0 ? socket : head.tid, entered_ns, head.at_ns,
                             record};  // no socket stands that low
}

class BpfTracer final : public Tracer {
 public:
  static base::Result<std::unique_ptr<Tracer>> open(const Target& target, const BpfOptions& options);
  ~BpfTracer() override = default;

  [[nodiscard]] int fd() const override { return both_.get(); }
  base::Status drain(recording::Recording& recording) override;
  [[nodiscard]] bool finished() const override;
  [[nodiscard]] std::optional<int> command_status() const override { return status_; }
  void signal_command(int signal) override;
  void tell_conversations(std::vector<Conversation>& told) override { conversations_.take(told); }
  [[nodiscard]] std::uint64_t recorded() const override { return recorded_; }
  void pause() override { paused_ = true; }
  [[nodiscard]] bool paused() const override { return paused_; }
  [[nodiscard]] std::uint64_t left_out() const override { return left_out_; }
  base::Status stop(recording::Recording& recording) override;
  [[nodiscard]] recording::Observations observes() const override;
  [[nodiscard]] std::vector<Lack> lacks() const override { return probe_.lacks(); }

 private:
  BpfTracer(Probe probe, std::optional<KernelSymbols> symbols, Unwinder unwinder)
      : probe_(std::move(probe)), symbols_(std::move(symbols)), unwinder_(std::move(unwinder)) {}
  base::Status follow_sockets_of(const Target& target);
  void take();
  void put_aside(std::span<const std::byte> record);
  void append(std::span<const std::byte> record);
  void end_repeated(std::span<const std::byte> record);
  void append_repeated(std::span<const std::byte> last, const RepeatedCalls::Run& before);
  void make_events(recording::Recording& recording);
  void look_at(std::span<const std::byte> record);
  void learn_path(const probe_path_sample& sample);
  [[nodiscard]] std::size_t decisive(std::span<const __u64> stack) const;
  void note_losses(recording::Recording& recording);
  void compare_with_counters(recording::Recording& recording);

  Probe probe_;
  std::optional<KernelSymbols> symbols_;
  Unwinder unwinder_;
  StackPaths paths_{[this](std::span<const __u64> stack) { return decisive(stack); }};
  std::optional<EventMaker> maker_;
  std::optional<CounterSampler> counters_;
  std::optional<GatedChild> child_;
  std::optional<int> status_;
  base::UniqueFd timer_, both_;
  std::vector<recording::Event> sockets_at_start_;
  RecordLog log_;
  std::uint64_t recorded_ = 0;  // events, those that are made at the end
  RepeatedCalls repeated_{are_alike, [this](std::span<const std::byte> last, const RepeatedCalls::Run& before) {
                            append_repeated(last, before);
                          }};
  bool paused_ = false;
  std::uint64_t left_out_ = 0, no_memory_for_ = 0;  // records
  NamedConversations conversations_;
  std::optional<GiveWay> way_;
  std::set<pid_t> living_;
  std::set<pid_t> of_command_;  // of these, the command and what it has forked
  // The kernel numbers processes as we do: not so in a PID namespace, where the numbers above may be those of others.
  bool same_numbers_ = false;
};

base::Result<std::unique_ptr<Tracer>> BpfTracer::open(const Target& target, const BpfOptions& options) {
  for (const pid_t pid : target.pids)
    if (kill(pid, 0) != 0 && errno == ESRCH)
      return base::fail(base::ErrorKind::usage, base::format({"there is no process {}", "没有进程 {}"}, pid));
  Unwinder unwinder;  // it forks: before there is anything that its child need not have
  ProbeOptions asked = probe_of_trace();
  asked.without = options.without, asked.refused = options.refused;
  asked.ring_bytes = options.ring_bytes;
  if (!options.user_stacks) asked.user_stacks_a_second = 0;
  auto probe = Probe::open(asked);
  if (!probe) return std::unexpected(probe.error());
  auto symbols = KernelSymbols::load();
  std::unique_ptr<BpfTracer> made(new BpfTracer(
      std::move(*probe), symbols ? std::optional(std::move(*symbols)) : std::nullopt, std::move(unwinder)));
  made->maker_.emplace(EventMakerOptions{.symbols = made->symbols_ ? &*made->symbols_ : nullptr,
                                         .unwinder = &made->unwinder_,
                                         .reset_reasons = kernel_enum("sk_rst_reason", "SK_RST_REASON_"),
                                         .drop_reasons = kernel_enum("skb_drop_reason", "SKB_DROP_REASON_"),
                                         .paths = &made->paths_});
  auto timer = make_clock();
  if (!timer) return std::unexpected(timer.error());
  made->timer_ = std::move(*timer);
  auto both = watch_both(made->timer_.get(), made->probe_.fd());
  if (!both) return std::unexpected(both.error());
  made->both_ = std::move(*both);

  // What it opens on other threads is none of the command's: here is the last moment before it gets copies.
  if (options.before_start)
    if (auto ready = options.before_start(); !ready) return std::unexpected(ready.error());
  if (!target.command.empty()) {
    auto child = GatedChild::fork(target.command);
    if (!child) return std::unexpected(child.error());
    made->child_.emplace(std::move(*child));
    const pid_t pid = made->child_->pid();
    made->living_.insert(pid);
    made->of_command_.insert(pid);
    made->maker_->start_process(pid, fs::path(target.command.front()).filename().string().substr(0, 15));
    if (auto followed = made->probe_.follow(pid); !followed) return std::unexpected(followed.error());
  }
  for (const pid_t pid : target.pids) {
    made->living_.insert(pid);
    made->maker_->start_process(pid, command_of(pid));
    if (auto followed = made->probe_.follow(pid); !followed) return std::unexpected(followed.error());
  }
  if (auto attached = made->probe_.attach(); !attached) return std::unexpected(attached.error());
  // Mapped before the probe could see it.
  for (const pid_t pid : target.pids)
    for (Mapping& mapping : code_mappings(pid)) made->unwinder_.learn_mapping(pid, std::move(mapping));
  // From now on: what the kernel counts, the probe has seen, or missed.
  if (auto counters = CounterSampler::open(); counters) made->counters_.emplace(std::move(*counters));
  if (auto followed = made->follow_sockets_of(target); !followed) return std::unexpected(followed.error());
  if (made->child_)
    if (auto gone = made->child_->let_go(); !gone) return std::unexpected(gone.error());
  if (options.gives_way) made->way_.emplace([&probe = made->probe_] { return probe.fullness(); });
  return made;
}

// Connections that are older than the trace: their flows, and who listens where.
base::Status BpfTracer::follow_sockets_of(const Target& target) {
  if (target.pids.empty()) return {};
  const auto holders = find_socket_holders();
  const auto is_theirs = [&](const recording::SocketSnapshot& socket) {
    return socket.inode != 0 &&
           std::ranges::any_of(holders.of(socket.inode), [&](const recording::SocketHolder& holder) {
             return std::ranges::find(target.pids, holder.pid) != target.pids.end();
           });
  };
  auto sampler = SocketSampler::open();
  if (!sampler) return std::unexpected(sampler.error());
  const auto sample = sampler->sample();
  if (!sample) return std::unexpected(sample.error());
  const std::uint64_t netns = current_netns_cookie();
  for (const recording::SocketSnapshot& socket : sample->sockets) {
    if (!is_theirs(socket)) continue;
    const auto followed = socket.state == tcp::State::listen ? probe_.follow_port(netns, socket.local.port)
                                                             : probe_.follow_flow(socket.local, socket.remote);
    if (!followed) return followed;
    recording::SocketState state;
    state.socket = socket.cookie, state.local = socket.local, state.remote = socket.remote;
    state.to = socket.state, state.not_before = sample->begin;
    state.receive_queue = socket.receive_queue, state.send_queue = socket.send_queue;
    sockets_at_start_.push_back({sample->end, {}, std::move(state)});
  }
  return {};
}

// Records are only put aside while the program runs, for the processor that would decode them is the program's too. Only who is alive
// is looked at at once.
void BpfTracer::take() {
  log_.begin_batch(wall_minus_monotonic());
  if (way_) way_->looked();
  const auto take_one = [&](std::span<const std::byte> record) {
    const auto& head = *reinterpret_cast<const probe_head*>(record.data());
    if (head.kind == PROBE_PATH_SAMPLE) return learn_path(*reinterpret_cast<const probe_path_sample*>(record.data()));
    look_at(record);
    put_aside(record);
  };
  probe_.consume(take_one, usual_hold_back);
  if (symbols_ && !paths_.full()) probe_.want_path_samples(samples_a_look);
}

void BpfTracer::put_aside(std::span<const std::byte> record) {
  if (paused_) {
    ++left_out_;
    return;
  }
  try {
    if (const auto call = idle_call(record)) {
      if (repeated_.hold(*call)) return;
    } else {
      end_repeated(record);
    }
    append(record);
    conversations_.look_at(record);
  } catch (const std::bad_alloc&) {
    paused_ = true;
    ++no_memory_for_;
  }
}

void BpfTracer::append(std::span<const std::byte> record) {
  log_.append(likeness(record), record);
  recorded_ += reinterpret_cast<const probe_head*>(record.data())->kind == PROBE_CALL_MADE ? 2 : 1;
}

// Whatever happens to a socket ends what its calls repeat, and so does what may end its thread.
void BpfTracer::end_repeated(std::span<const std::byte> record) {
  switch (reinterpret_cast<const probe_head*>(record.data())->kind) {
    case PROBE_SIGNAL:
    case PROBE_FORK:
    case PROBE_EXEC:
    case PROBE_EXIT: return repeated_.end_all();
    case PROBE_MAPPING:
    case PROBE_USER_STACK: return;
    case PROBE_GONE: return repeated_.end(member_of<std::uint64_t>(record, offsetof(probe_gone, socket)));
    default: return repeated_.end(socket_of(record));
  }
}

void BpfTracer::append_repeated(std::span<const std::byte> last, const RepeatedCalls::Run& before) {
  append(last);
  if (before.count == 0) return;
  probe_repeated repeated{};
  std::memcpy(&repeated.head, last.data(), sizeof repeated.head);
  repeated.head.kind = PROBE_CALLS_REPEATED, repeated.head.flags = 0, repeated.head.at_ns = before.until_ns;
  repeated.call = member_of<std::uint64_t>(last, offsetof(probe_call, call));
  repeated.count = before.count, repeated.since_ns = before.since_ns;
  append(std::as_bytes(std::span(&repeated, 1)));
}

// What there is memory for. What is put aside goes piece by piece, as its events are made.
void BpfTracer::make_events(recording::Recording& recording) {
  bool has_room = true;
  log_.replay([&](base::Duration clock, std::span<const std::byte> record) {
    if (!has_room) {
      ++no_memory_for_;
      return;
    }
    try {
      maker_->set_clock(clock);
      maker_->add(record, recording);
    } catch (const std::bad_alloc&) {
      has_room = false;
      ++no_memory_for_;
    }
  });
  if (!has_room) return;
  for (const probe_call& call : probe_.unfinished_calls()) maker_->add(call, recording);
}

void BpfTracer::learn_path(const probe_path_sample& sample) {
  if (const auto path = paths_.add(sample)) probe_.know_path(*path);
}

std::size_t BpfTracer::decisive(std::span<const __u64> stack) const {
  std::vector<std::string_view> names;
  for (const __u64 frame : stack) names.push_back(symbols_->name(frame));
  return decisive_frames(names);
}

void BpfTracer::look_at(std::span<const std::byte> record) {
  const auto kind = reinterpret_cast<const probe_head*>(record.data())->kind;
  if (kind != PROBE_FORK && kind != PROBE_EXIT && kind != PROBE_EXEC) return;
  const auto& process = *reinterpret_cast<const probe_process*>(record.data());
  const auto pid = static_cast<pid_t>(process.child_tgid);
  if (kind == PROBE_EXEC) {
    if (child_ && pid == child_->pid()) same_numbers_ = true;
    return;
  }
  if (kind == PROBE_EXIT) {
    if (process.threads == 0) living_.erase(pid), of_command_.erase(pid);
    return;
  }
  if (process.child_tid != process.child_tgid) return;  // a thread
  living_.insert(pid);
  if (of_command_.contains(static_cast<pid_t>(process.parent))) of_command_.insert(pid);
}

void BpfTracer::signal_command(int signal) {
  if (!child_) return;
  if (!status_) kill(child_->pid(), signal);
  // Where an end may have been missed, a number may be another's by now.
  if (!same_numbers_ || probe_.lost_records() > 0) return;
  for (const pid_t pid : of_command_)
    if (pid != child_->pid()) kill(pid, signal);
}

base::Status BpfTracer::drain(recording::Recording& recording) {
  std::uint64_t ticks = 0;
  [[maybe_unused]] const ssize_t got = read(timer_.get(), &ticks, sizeof ticks);
  for (auto& event : sockets_at_start_) recording.events.push_back(std::move(event));
  sockets_at_start_.clear();
  take();
  if (child_) status_ = child_->poll_end();
  // What was lost may have been an end.
  if (probe_.lost_records() > 0 || !probe_.has("on_exit"))
    for (auto* pids : {&living_, &of_command_})
      std::erase_if(*pids, [](pid_t pid) { return kill(pid, 0) != 0 && errno == ESRCH; });
  return {};
}

bool BpfTracer::finished() const { return living_.empty(); }

base::Status BpfTracer::stop(recording::Recording& recording) {
  compare_with_counters(recording);
  probe_.detach();
  take();
  way_.reset();
  try {
    repeated_.end_all();
  } catch (const std::bad_alloc&) {
    ++no_memory_for_;
  }
  make_events(recording);
  note_losses(recording);
  // Its exit is traced before its status can be had.
  if (child_ && !status_) status_ = living_.contains(child_->pid()) ? child_->poll_end() : child_->wait_for_end();
  return {};
}

void BpfTracer::note_losses(recording::Recording& recording) {
  const auto note = [&recording](std::string what, std::uint64_t count, std::string why) {
    if (count > 0)
      recording.events.push_back({base::wall_now(), {}, recording::Loss{std::move(what), count, std::move(why)}});
  };
  note("events", probe_.lost_records(), "the probe's ring buffer was full: try a larger --ring");
  note("events", probe_.skipped_runs(), "the kernel skipped a program that was running already on that processor");
  note("events", no_memory_for_, "there was no memory for more");
  note("stacks", probe_.skipped_stacks(), "more opening and closing calls a second than stacks are taken of");
  for (const UnreadSymbols& unread : unwinder_.take_unread())
    recording.events.push_back({base::wall_now(), {}, loss_of(unread)});
}

// A hook's programs may not run (they are skipped, or another detached them), and no counter of theirs says so. The MIB counters of the
// network namespace are the kernel's own. They are read inside the time in which the probe counts, so what they have more was
// missed; by whose connections they moved they don't say: of the traced ones it is that much at most.
void BpfTracer::compare_with_counters(recording::Recording& recording) {
  std::vector<recording::Event> moved;
  if (!counters_ || !counters_->sample(moved)) return;
  const ProbeCounts seen = probe_.counted();
  const struct {
    std::string_view counter, what;
    std::uint64_t seen;
  } rows[] = {{"Tcp.OutRsts", "resets sent", seen.resets_sent},
              {"Tcp.EstabResets", "ends of established connections without a FIN's answer", seen.established_ended}};
  for (const auto& row : rows) {
    std::uint64_t counted = 0;
    for (const recording::Event& event : moved)
      if (const auto& counter = std::get<recording::CounterMoved>(event.what); counter.name == row.counter)
        counted = static_cast<std::uint64_t>(std::max<std::int64_t>(counter.delta, 0));
    if (counted <= row.seen) continue;
    auto why = fmt::format(
        "that many at most: the kernel counted {} in this network namespace ({}), the probe saw {}; whose the missing ones are is not known",
        counted, row.counter, row.seen);
    recording.events.push_back(
        {base::wall_now(), {}, recording::Loss{std::string(row.what), counted - row.seen, std::move(why)}});
  }
}

recording::Observations BpfTracer::observes() const {
  recording::Observations seen = probe_.observes();
  if (symbols_ && probe_.has("on_segment")) seen.add(recording::Observation::causes_kernel);
  return seen;
}

}  // namespace

base::Result<std::unique_ptr<Tracer>> open_bpf(const Target& target, const BpfOptions& options) {
  return BpfTracer::open(target, options);
}

}  // namespace tcpwhy::trace
