// The words of rolling restarts.

import { messageOf, reasonText } from "../ui/i18n.js";

export const rolloutState = (state) => messageOf(`rollout.state.${state}`) ?? state;
export const stageText = (stage) => messageOf(`rollout.stage.${stage}`) ?? stage;

/** Return the text of a reason of the run, or of a server whose restart failed. */
export const rolloutReason = (reason) => messageOf(`rollout.reason.${reason}`) ?? reasonText(reason);
