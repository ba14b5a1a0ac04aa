// The steps of a scenario. Private to the parser.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "lab/language/scenario.h"
#include "lab/language/syntax.h"

namespace tcpwhy::lab {

class StepParser {
 public:
  // Adds the ends and threads that it meets to `scenario`, which outlives it.
  explicit StepParser(Scenario& scenario) : scenario_(scenario) {}

  // The step on this line; its text, note and comment are left empty.
  syntax::Parsed<Step> parse(syntax::Cursor& cursor);
  // What can be said only after the last line: does every name mean an end?
  syntax::Parsed<void> finish();

 private:
  struct Mention {
    std::string end;
    Position at;
  };

  syntax::Parsed<StepKind> parse_wire(syntax::Cursor& cursor);
  syntax::Parsed<StepKind> parse_link(syntax::Cursor& cursor);
  syntax::Parsed<StepKind> parse_state(syntax::Cursor& cursor);
  syntax::Parsed<StepKind> parse_counter(syntax::Cursor& cursor);
  syntax::Parsed<StepKind> parse_end_step(syntax::Cursor& cursor);
  syntax::Parsed<StepKind> parse_process(syntax::Cursor& cursor, const std::string& who);
  syntax::Parsed<StepKind> parse_resume(syntax::Cursor& cursor, const std::string& who);
  syntax::Parsed<StepKind> parse_calls(syntax::Cursor& cursor, const std::string& who);
  syntax::Parsed<ExpectedCall> parse_call(syntax::Cursor& cursor, const std::string& who);
  syntax::Parsed<void> name_result(syntax::Cursor& cursor, const std::string& who, const ExpectedCall& call);

  syntax::Parsed<std::string> take_end(syntax::Cursor& cursor);
  syntax::Parsed<void> add_end(const std::string& who, Position at);
  [[nodiscard]] bool has_variable(const std::string& who, const std::string& name) const;

  Scenario& scenario_;
  std::map<std::string, std::set<std::string>> variables_;  // of each end
  std::vector<Mention> mentions_;                           // names that must turn out to be ends
};

}  // namespace tcpwhy::lab
