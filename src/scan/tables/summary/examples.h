// Which connections to look at first: of those of a server that have the same wrong with them one, the worst, with the number of the
// others, so that what stands below each other differs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "scan/tables/summary/summary.h"

namespace tcpwhy::scan {

struct Example {
  Kept worst;
  std::uint64_t connections = 1;  // of that server that have its worst problem too, this one included
  bool at_least = false;          // some were counted before room had to be made, and are not in it

  // For --where: all of them. "problems=capture.loss and server=10.0.0.1:443"
  [[nodiscard]] std::string where() const;
};

class Examples {
 public:
  // How many servers are told apart for each kind of problem, about 800 bytes each; beyond that the mildest half is forgotten.
  static constexpr std::size_t servers_a_problem = 2'048;

  void put(const ConnectionRecord& record, std::span<const Problem> problems);
  // At most `limit`, the worst first. No kind of problem has more than a third of them as long as others are left over.
  [[nodiscard]] std::vector<Example> chosen(std::size_t limit) const;

 private:
  struct OfServer {
    std::optional<Kept> worst;  // of those whose worst problem this is
    std::uint64_t connections = 0;
  };
  struct OfProblem {
    std::map<wire::SocketAddress, OfServer> servers;
    bool forgot = false;
  };
  static void make_room(OfProblem& of_problem);

  std::map<const ProblemRule*, OfProblem> problems_;
};

}  // namespace tcpwhy::scan
