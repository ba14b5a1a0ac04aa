// Where in strace's notation a reader stands: inside a quoted string, inside brackets, or between arguments. What reads that notation goes
// by it, so that no payload can end an argument.
#pragma once

#include <cstddef>

namespace tcpwhy::calls {

class Nesting {
 public:
  // The next character. It counts as inside of what it opens, and as outside of what it closes.
  void step(char c) {
    if (quoted_) {
      if (escaped_)
        escaped_ = false;
      else if (c == '\\')
        escaped_ = true;
      else if (c == '"')
        quoted_ = false;
      return;
    }
    if (c == '"') quoted_ = true;
    if (c == '(' || c == '[' || c == '{') ++depth_;
    if ((c == ')' || c == ']' || c == '}') && depth_ > 0) --depth_;
  }
  [[nodiscard]] bool quoted() const { return quoted_; }
  [[nodiscard]] bool between_arguments() const { return !quoted_ && depth_ == 0; }

 private:
  bool quoted_ = false, escaped_ = false;
  std::size_t depth_ = 0;
};

}  // namespace tcpwhy::calls
