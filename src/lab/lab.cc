#include "lab/lab.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <fstream>
#include <list>
#include <sstream>
#include <thread>

#include "base/format.h"
#include "base/text.h"
#include "capfile/recording/recording_io.h"
#include "lab/agents/program_user.h"
#include "lab/conductor.h"
#include "lab/language/scenario_parser.h"
#include "lab/observer.h"
#include "lab/sandbox/sandbox.h"
#include "lab/scenario_files.h"
#include "trace/bpf/namespace_watch.h"

namespace tcpwhy::lab {
namespace {

using namespace std::chrono_literals;

// Experiments mostly wait; more than this at a time disturb each other's clocks.
constexpr unsigned parallel_per_cpu = 6;
// A scenario's own limit ends it from inside, with a recording; the sandbox's, this much later, only if that failed.
constexpr base::Duration sandbox_grace = 5s;

bool stopped(const RunOptions& options) { return options.stop && options.stop->load(); }

base::Error interrupted() { return {base::ErrorKind::system, {"interrupted", "被中断"}, {}}; }

// The first line that did not hold, as an error.
std::optional<base::Error> first_failure(const Scenario& scenario, const recording::Recording& recording) {
  for (const recording::Event& event : recording.events) {
    const auto* failed = std::get_if<recording::ExpectationFailed>(&event.what);
    if (!failed) continue;
    const std::string place =
        fmt::format("{}:{}", scenario.path.empty() ? scenario.name + ".tcp" : scenario.path, failed->step_line);
    return base::Error{base::ErrorKind::expectation,
                       base::format({"{}: expected {}, but {}", "{}：预期 {}，但 {}"}, base::escape_controls(place),
                                    base::escape_controls(failed->expected), base::escape_controls(failed->actual)),
                       {}};
  }
  return std::nullopt;
}

Outcome outcome_of(const Scenario& scenario, base::Result<Bytes> result) {
  Outcome outcome;
  outcome.scenario = scenario;
  if (!result) {
    outcome.error = std::move(result.error());
    return outcome;
  }
  auto decoded = capfile::decode(*result, scenario.name);
  if (!decoded)
    outcome.error = std::move(decoded.error());
  else if (decoded->stopped_by)
    outcome.error = std::move(*decoded->stopped_by);
  if (decoded && !decoded->recordings.empty()) outcome.recording = std::move(decoded->recordings.front());
  if (!outcome.error) outcome.error = first_failure(scenario, outcome.recording);
  outcome.passed = !outcome.error.has_value();
  return outcome;
}

// The namespaces of the experiment, which only this room knows of.
std::vector<std::uint64_t> take_namespaces(recording::Recording& recording) {
  std::vector<std::uint64_t> cookies;
  const auto setting = recording.provenance.settings.extract(std::string(namespaces_setting));
  if (setting.empty()) return cookies;
  std::istringstream words(setting.mapped());
  for (std::uint64_t cookie = 0; words >> cookie;)
    if (cookie != 0) cookies.push_back(cookie);
  return cookies;
}

// One run of many scenarios side by side.
class Run {
 public:
  Run(std::span<const Scenario> scenarios, const RunOptions& options, const OnFinished& on_finished)
      : scenarios_(scenarios),
        options_(options),
        on_finished_(on_finished),
        outcomes_(scenarios.size()),
        attempts_(scenarios.size()) {
    const unsigned cpus = std::max(1U, std::thread::hardware_concurrency());
    parallel_ = options.parallel != 0 ? options.parallel : cpus * parallel_per_cpu;
    if (!options.programs_as_root) program_user_ = program_user();
    // Whoever lacks the privilege has everything else: the causes are derived then.
    if (!options.kernel_probe) return;
    if (auto watch = trace::NamespaceWatch::open()) kernel_.emplace(std::move(*watch));
  }

  std::vector<Outcome> run() {
    while (told_ < scenarios_.size()) {
      if (stopped(options_)) stop();
      while (next_ < scenarios_.size() && running_.size() < parallel_) start(next_++);
      tell();
      if (running_.empty()) continue;
      wait();
      if (kernel_) kernel_->drain();
      for (auto job = running_.begin(); job != running_.end();) job = finish(job);
    }
    std::vector<Outcome> outcomes;
    for (auto& outcome : outcomes_) outcomes.push_back(std::move(*outcome));
    return outcomes;
  }

 private:
  struct Job {
    std::size_t index;
    Sandbox sandbox;
  };

  void start(std::size_t index) {
    const Scenario& scenario = scenarios_[index];
    ++attempts_[index];
    SandboxOptions options;
    options.name = scenario.name;
    options.wall_limit = scenario.limit + sandbox_grace;
    const Family family = options_.family;
    auto sandbox = Sandbox::start(std::move(options), [&scenario, family, this](Workplace&) -> base::Result<Bytes> {
      set_program_user(program_user_);
      auto recording = conduct(scenario, family);
      if (!recording) return std::unexpected(std::move(recording.error()));
      return capfile::encode({&*recording, 1});
    });
    if (sandbox)
      running_.push_back({index, std::move(*sandbox)});
    else
      outcomes_[index] = outcome_of(scenario, std::unexpected(std::move(sandbox.error())));
  }

  std::list<Job>::iterator finish(std::list<Job>::iterator job) {
    if (!job->sandbox.pump(base::MonotonicClock::now())) return std::next(job);
    const std::size_t index = job->index;
    Outcome outcome = outcome_of(scenarios_[index], job->sandbox.wait());
    job = running_.erase(job);
    const auto namespaces = take_namespaces(outcome.recording);
    if (kernel_ && !namespaces.empty()) {
      kernel_->drain();
      kernel_->give(namespaces, outcome.recording);
    }
    const bool upset = outcome.error && outcome.error->kind == base::ErrorKind::expectation;
    if (upset && attempts_[index] < scenarios_[index].attempts && !stopped(options_)) {
      start(index);
      return job;
    }
    if (scenarios_[index].attempts > 1)
      outcome.recording.provenance.settings["attempt"] = fmt::format("{}", attempts_[index]);
    outcomes_[index] = std::move(outcome);
    return job;
  }

  // Outcomes in the order of the scenarios.
  void tell() {
    for (; told_ < outcomes_.size() && outcomes_[told_]; ++told_)
      if (on_finished_) on_finished_(*outcomes_[told_]);
  }

  void wait() {
    std::vector<pollfd> fds;
    base::MonotonicTime deadline = running_.front().sandbox.deadline();
    for (const Job& job : running_) {
      fds.push_back({job.sandbox.fds().progress, POLLIN, 0});
      fds.push_back({job.sandbox.fds().end, POLLIN, 0});
      deadline = std::min(deadline, job.sandbox.deadline());
    }
    // A stop flag that is set between the look at it and this poll is seen at the next turn.
    constexpr auto longest = 100ms;
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - base::MonotonicClock::now()) + 1ms;
    ::poll(fds.data(), fds.size(), static_cast<int>(std::clamp<std::chrono::milliseconds>(left, 0ms, longest).count()));
  }

  void stop() {
    running_.clear();  // kills what is inside
    for (std::size_t i = told_; i < outcomes_.size(); ++i)
      if (!outcomes_[i]) outcomes_[i] = outcome_of(scenarios_[i], std::unexpected(interrupted()));
    next_ = scenarios_.size();
  }

  std::span<const Scenario> scenarios_;
  const RunOptions& options_;
  const OnFinished& on_finished_;
  std::vector<std::optional<Outcome>> outcomes_;
  std::vector<unsigned> attempts_;  // made so far
  std::optional<ProgramUser> program_user_;
  std::optional<trace::NamespaceWatch> kernel_;
  std::list<Job> running_;
  std::size_t parallel_ = 1, next_ = 0, told_ = 0;
};

}  // namespace

std::string_view family_name(Family family) {
  switch (family) {
    case Family::v4: return "IPv4";
    case Family::v6: return "IPv6";
    case Family::v4_mapped: break;
  }
  return "v4-mapped";
}

std::vector<Scenario> builtin_scenarios() {
  std::vector<Scenario> scenarios;
  for (const EmbeddedScenario& file : scenario_files) {
    auto parsed = parse_scenario(file.text, fmt::format("scenarios/{}.tcp", file.name));
    if (!parsed) continue;  // lab.builtin_scenarios_parse holds that there is none
    parsed->name = file.name;
    scenarios.push_back(std::move(*parsed));
  }
  return scenarios;
}

base::Result<Scenario> load_scenario(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text(ScenarioLimits::file_bytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!file.is_open() || file.bad() || (file.gcount() == 0 && !file.eof()))
    return base::fail(
        base::ErrorKind::unreadable,
        base::format({"{}: {}", "{}：{}"}, base::escape_controls(path),
                     file.is_open() ? base::OwnedText{"it cannot be read", "无法读取"} : base::both(strerror(errno))),
        {"tcpwhy lab --list names the scenarios that come with the program", "tcpwhy lab --list 列出程序自带的场景"});
  text.resize(static_cast<std::size_t>(file.gcount()));
  auto parsed = parse_scenario(text, path);
  if (!parsed) return parsed;
  parsed->path = path;
  const std::size_t slash = path.rfind('/');
  parsed->name = path.substr(slash == std::string::npos ? 0 : slash + 1);
  if (parsed->name.ends_with(".tcp")) parsed->name.resize(parsed->name.size() - 4);
  return parsed;
}

std::vector<Outcome> run(std::span<const Scenario> scenarios, const RunOptions& options,
                         const OnFinished& on_finished) {
  return Run(scenarios, options, on_finished).run();
}

}  // namespace tcpwhy::lab
