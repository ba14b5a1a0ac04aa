// The language of --where: which connections.  closed.by=server and reset
//
//   expression := term { "or" term }        term := factor { "and" factor }        factor := "not" factor | "(" expression ")" | comparison
//   comparison := FIELD [ ("=" | "!=" | "<" | "<=" | ">" | ">=" | "~") VALUE ]
//
// A field alone holds where it is true, not zero and known. VALUE: a word, a "quoted text", a number with a unit (us ms
// s min h, B kB MB GB), an address, network or end (scan/connections/network.h). ~: contains. A comparison with something unknown does not
// hold, nor does its !=.
//
// What no connection can be is refused: a value that the field never has, an order of words, a part of a number.
#pragma once

#include <memory>
#include <string_view>

#include "base/result.h"
#include "scan/tables/fields.h"

namespace tcpwhy::scan {

class Where {
 public:
  // ErrorKind::usage with a caret under what is wrong.
  static base::Result<Where> parse(std::string_view text);

  [[nodiscard]] bool holds(const Row& row) const;

  Where(Where&&) noexcept;
  Where& operator=(Where&&) noexcept;
  ~Where();

  struct Node;

 private:
  explicit Where(std::unique_ptr<Node> root);
  std::unique_ptr<Node> root_;
};

}  // namespace tcpwhy::scan
