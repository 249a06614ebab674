// The rings that the caller takes, and the windows it fills: exported as they are.

import { windowFilled, windowsTake } from '../guest/windows.ts';
import { eventsTake } from '../queue/event-records.ts';
import { commandsTake } from '../queue/direct.ts';
import { interruptsTake } from '../queue/interrupt.ts';
import { requestsTake } from '../queue/requests.ts';
import { requestsOutstanding } from '../queue/slots.ts';

export {
  commandsTake,
  eventsTake,
  interruptsTake,
  requestsOutstanding,
  requestsTake,
  windowFilled,
  windowsTake,
};
