#include "scan/tables/summary/examples.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <utility>

namespace tcpwhy::scan {

std::string Example::where() const {
  return fmt::format("problems={} and server={}", worst.problems.front().rule->id,
                     wire::to_string(worst.record.addresses[listener]));
}

void Examples::put(const ConnectionRecord& record, std::span<const Problem> problems) {
  const wire::SocketAddress& server = record.addresses[listener];
  for (const Problem& problem : problems) {
    OfProblem& of_problem = problems_[problem.rule];
    auto found = of_problem.servers.find(server);
    if (found == of_problem.servers.end()) {
      if (of_problem.servers.size() >= servers_a_problem) make_room(of_problem);
      found = of_problem.servers.try_emplace(server).first;
    }
    OfServer& of_server = found->second;
    ++of_server.connections;
    if (problem.rule != problems.front().rule) continue;
    if (of_server.worst && !is_worse(record, problems, of_server.worst->record, of_server.worst->problems)) continue;
    of_server.worst = Kept{record, {problems.begin(), problems.end()}};
  }
}

// Those that nobody would be shown first: without an example, or with a mild one.
void Examples::make_room(OfProblem& of_problem) {
  using Place = std::map<wire::SocketAddress, OfServer>::iterator;
  std::vector<Place> places;
  for (auto place = of_problem.servers.begin(); place != of_problem.servers.end(); ++place) places.push_back(place);
  const auto middle = places.begin() + static_cast<std::ptrdiff_t>(places.size() / 2);
  std::ranges::nth_element(places, middle, [](const Place& a, const Place& b) {
    const auto &one = a->second.worst, &other = b->second.worst;
    if (!one || !other) return one.has_value() > other.has_value();
    return worse(*one, *other);
  });
  for (auto place = middle; place != places.end(); ++place) of_problem.servers.erase(*place);
  of_problem.forgot = true;
}

std::vector<Example> Examples::chosen(std::size_t limit) const {
  struct Candidate {
    const OfServer* of_server;
    bool at_least;
    std::size_t rank;  // among those with the same problem
  };
  std::vector<Candidate> candidates;
  for (const auto& [rule, of_problem] : problems_) {
    const auto begin = static_cast<std::ptrdiff_t>(candidates.size());
    for (const auto& [server, of_server] : of_problem.servers)
      if (of_server.worst) candidates.push_back({&of_server, of_problem.forgot, 0});
    const auto own = std::ranges::subrange(candidates.begin() + begin, candidates.end());
    std::ranges::sort(
        own, [](const Candidate& a, const Candidate& b) { return worse(*a.of_server->worst, *b.of_server->worst); });
    for (std::size_t i = 0; i < own.size(); ++i) own[static_cast<std::ptrdiff_t>(i)].rank = i;
  }
  const std::size_t share = (limit + 2) / 3;
  std::ranges::sort(candidates, [share](const Candidate& a, const Candidate& b) {
    const bool left_over_a = a.rank >= share, left_over_b = b.rank >= share;
    if (left_over_a != left_over_b) return left_over_b;
    return worse(*a.of_server->worst, *b.of_server->worst);
  });
  if (candidates.size() > limit) candidates.resize(limit);
  std::ranges::sort(candidates, [](const Candidate& a, const Candidate& b) {
    return worse(*a.of_server->worst, *b.of_server->worst);
  });
  std::vector<Example> chosen;
  for (const Candidate& candidate : candidates)
    chosen.push_back({*candidate.of_server->worst, candidate.of_server->connections, candidate.at_least});
  return chosen;
}

}  // namespace tcpwhy::scan
