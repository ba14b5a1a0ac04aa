// The seven questions of the experiment, and their answers from the evidence of recordings.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "explain/finding.h"

namespace tcpwhy::explain {

struct Question {
  int number;
  Text text;
};
std::span<const Question> questions();

// A recording explained. `name` is the experiment's; `asks` the questions it helps to answer.
struct Explained {
  const recording::Recording* recording = nullptr;
  timeline::Timeline timeline;
  std::vector<Finding> findings;
};
Explained explain(const recording::Recording& recording);
// Of a capture, which has neither calls nor the kernel's word: what an end's own SYN says stays. Why something was sent, sent again or reset
// is told by scan, which looks at what such evidence can show.
void keep_what_packets_show(std::vector<Finding>& findings);

// Which questions a recording asks: the numbers in its label "asks".
std::vector<int> questions_of(const recording::Recording& recording);

// One sentence of an answer. It is said only because its findings were found.
struct Clause {
  std::string text;
  Grade grade = Grade::derived;          // the weakest of its findings'
  std::vector<std::string> experiments;  // the names of the recordings whose findings say so, main ones first
};

struct Answer {
  int number = 0;
  std::vector<Clause> clauses;
  std::vector<std::string> missing;  // rules that the full answer needs and that were not found
};

// The answers of those questions that at least one of the recordings asks.
std::vector<Answer> answer(std::span<const Explained> explained, Language language);

// A row of the table of answers: what is said, in the order of the table, where all of `needs` were found. A place is {rule/slot};
// where several experiments measured it, the range.
struct AnswerRow {
  int question;
  std::vector<std::string_view> needs;
  Text text;
};
std::span<const AnswerRow> answer_rows();

}  // namespace tcpwhy::explain
