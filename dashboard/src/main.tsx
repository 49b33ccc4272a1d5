import { render } from "preact";
import { Board } from "./board";
import { loadJobTypes } from "./live/job-types";
import { watchQueues } from "./live/queues";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/frame.css";
import "./styles/signals.css";
import "./styles/figures.css";
import "./styles/dialogs.css";
import "./styles/lists.css";
import "./styles/job.css";
import "./styles/forms.css";

const place = document.getElementById("board");
if (place === null) throw new Error("index.html has no place for the board");
watchQueues();
loadJobTypes();
render(<Board />, place);
